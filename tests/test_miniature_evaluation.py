"""The miniature's evaluation: the judge, its questions and shares, and painting that goes on after a kill."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from renderer.looking.captions import OWN_FONT
from renderer.miniature.book import Figure, Picture, Things
from renderer.miniature.dataset import HELD_OUT_START, picture_of
from renderer.miniature.evaluate import save_findings
from renderer.miniature.evaluation.asking import (
    Asked,
    Bytes,
    answers_of,
    ask,
    ask_both,
    first_of_each,
    held_out,
    paint_all,
    shares_by_language,
)
from renderer.miniature.evaluation.attributes import ATTRIBUTES, NOTHING, label, shown
from renderer.miniature.evaluation.examination import Mark, failed
from renderer.miniature.evaluation.judge import Judge, features_of, judge_pictures
from renderer.miniature.evaluation.lessons import draw_lesson, lesson_picture
from renderer.miniature.evaluation.painting import Chunk, Studio, painting_pool
from renderer.miniature.evaluation.rebuilding import psnr, psnr_by_style
from renderer.miniature.evaluation.report import Findings, card_figures, markdown, table_of
from renderer.miniature.evaluation.schooling import Schooling, judge_once, masked_loss, train_judge
from renderer.miniature.evaluation.shares import ALL, Answer, Share, tally, together
from renderer.miniature.evaluation.showcase import showcase_page, showcase_prompts, wrap
from renderer.miniature.evaluation.softening import soften
from renderer.miniature.evaluation.survey import tables
from renderer.miniature.evaluation.variety import Diversity, Features, Negated, measure_diversity, measure_negatives

SIDE = 32
FIGURE = Figure("girl", "purple", "short", "dress", "pink", "none", "smiling", "standing", "resting")
PICTURE = Picture((FIGURE,), None, "park", "red", "day", "full", "plain", "square", 0)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The pictures are so small that threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def drawing() -> None:
    pytest.importorskip("resvg_py")


# What pixels tell.


def test_a_close_framing_hides_the_outfit() -> None:
    close = shown(replace(PICTURE, framing="close"))
    assert {"outfit", "outfit_color", "posture"}.isdisjoint(close)
    assert {"hair_color", "expression", "action", "accessory"} <= close.keys()


def test_a_book_hides_the_outfit_but_not_its_color() -> None:
    reading = shown(replace(PICTURE, figures=(replace(FIGURE, action="reading"),)))
    assert "outfit" not in reading and reading["outfit_color"] == "pink"


def test_lessons_show_every_value_of_every_attribute() -> None:
    seen = {pair for number in range(2000) for pair in shown(lesson_picture(0, number)).items()}
    assert seen == {(attribute, value) for attribute, values in ATTRIBUTES.items() for value in values}


@pytest.mark.parametrize("style", ["night_blue", "pencil"])
def test_styles_of_few_hues_hide_colors_and_times(style: Any) -> None:
    picture = replace(PICTURE, style=style, place="living_room", things=Things("cat", "black", 2))
    assert {"hair_color", "outfit_color", "time", "sofa", "thing_color"}.isdisjoint(shown(picture))
    assert shown(picture)["thing"] == "cat"


def test_only_a_full_figure_tells_its_posture() -> None:
    assert [shown(replace(PICTURE, framing=it)).get("posture") for it in ("half", "wide", "full")] == [
        None,
        None,
        "standing",
    ]


def test_a_time_is_asked_only_where_a_place_has_several() -> None:
    assert "time" in shown(PICTURE)
    assert "time" not in shown(replace(PICTURE, place="library"))


def test_the_sofa_shows_in_the_living_room_alone() -> None:
    assert "sofa" not in shown(PICTURE)
    home = replace(PICTURE, place="living_room")
    assert shown(home)["sofa"] == "red"
    assert "sofa" not in shown(replace(home, framing="half"))


def test_hair_styles_of_boys_and_men_are_not_asked() -> None:
    assert "hair_style" not in shown(replace(PICTURE, figures=(replace(FIGURE, kind="man"),)))


def test_of_a_pair_only_the_picture_itself_is_asked() -> None:
    assert set(shown(replace(PICTURE, figures=(FIGURE, FIGURE)))) == {"style", "place", "people", "framing", "time"}


def test_nobody_has_no_framing_and_no_looks() -> None:
    nobody = shown(replace(PICTURE, figures=(), framing="wide"))
    assert set(nobody) == {"style", "place", "people", "time", "thing", "thing_color", "thing_count"}
    assert nobody["people"] == "0"


def test_a_label_is_the_index_of_what_is_shown_and_nothing_else() -> None:
    for picture in (lesson_picture(0, number) for number in range(200)):
        values = shown(picture)
        for (attribute, choices), index in zip(ATTRIBUTES.items(), label(picture).tolist(), strict=True):
            assert (choices[index] if index >= 0 else None) == values.get(attribute)


# Shares.


def test_wilson_interval_of_a_known_case() -> None:
    low, high = Share(8, 10).interval
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)


@given(st.integers(0, 500), st.integers(1, 500))
def test_interval_surrounds_the_share(hits: int, more: int) -> None:
    share = Share(hits, hits + more)
    low, high = share.interval
    assert 0 <= low <= share.value <= high <= 1
    assert low < high


def test_the_share_of_none_says_nothing() -> None:
    assert Share(0, 9).interval[0] == 0 and Share(9, 9).interval[1] == 1
    assert Share(0, 0).interval == (0.0, 1.0)
    assert Share(0, 0).figures == {"share": 0.0, "low": 0.0, "high": 1.0, "count": 0}


def test_answers_are_counted_by_attribute() -> None:
    shares = tally([Answer("place", True), Answer("place", False), Answer("time", True)])
    assert shares == {"place": Share(1, 2), "time": Share(1, 1)}
    assert together(shares) == Share(2, 3)


# Prompts.


def test_prompts_are_of_held_out_square_pictures() -> None:
    pictures = [next(held_out()), next(held_out(1000))]
    assert all(picture.frame == "square" for picture in pictures)
    assert pictures[1] in [picture_of(seed) for seed in range(HELD_OUT_START + 1000, HELD_OUT_START + 1100)]


def test_only_what_is_named_and_shown_is_asked() -> None:
    for asked in ask_both(60):
        assert asked.questions.items() <= shown(asked.picture).items()
        assert asked.prompt


def test_every_attribute_is_asked_sometime() -> None:
    assert {attribute for asked in ask_both(400) for attribute in asked.questions} == set(ATTRIBUTES)


def test_both_languages_ask_for_the_same_pictures_from_the_same_noise() -> None:
    both = ask_both(5)
    assert [(it.picture, it.seed) for it in both[:5]] == [(it.picture, it.seed) for it in both[5:]]
    assert {it.language for it in both[:5]} == {"zh"}


def test_the_first_prompts_are_of_each_language() -> None:
    assert [it.language for it in first_of_each(ask_both(5), 2)] == ["zh", "zh", "en", "en"]


# The judge.


SCHOOLING = Schooling(drawings=48, glances=48, looks=48 * 40, size=SIDE)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pupil() -> Judge:
    """A judge that has seen a few pictures many times."""
    pytest.importorskip("resvg_py")
    return train_judge(SCHOOLING, 0, CPU)


def test_the_judge_learns(pupil: Judge) -> None:
    pictures = [lesson_picture(SCHOOLING.seed, number) for number in range(SCHOOLING.drawings)]
    seen = judge_pictures(pupil, draw_lesson(SCHOOLING.seed, SCHOOLING.drawings, SIDE, 0).pictures)
    for attribute in ("style", "place", "people"):
        right = [it[attribute] == shown(picture)[attribute] for it, picture in zip(seen, pictures, strict=True)]
        assert sum(right) > 0.7 * len(right), attribute


def test_the_same_seed_trains_the_same_judge(drawing: None) -> None:
    schooling = replace(SCHOOLING, looks=96)
    first, second = (train_judge(schooling, 0, CPU).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = train_judge(replace(schooling, seed=1), 0, CPU).state_dict()
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_training_leaves_the_global_seed_alone(drawing: None) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train_judge(replace(SCHOOLING, looks=48), 0, CPU)
    assert torch.equal(torch.rand(1), expected)


def test_a_trained_judge_is_kept_until_the_schooling_changes(drawing: None, tmp_path: Path) -> None:
    schooling = replace(SCHOOLING, looks=48)
    first = judge_once(tmp_path, schooling, 0, CPU)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    again = judge_once(tmp_path, schooling, 0, CPU)
    assert file.stat().st_mtime_ns == written
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    judge_once(tmp_path, replace(schooling, seed=1), 0, CPU)
    assert file.stat().st_mtime_ns > written


def test_lessons_are_the_same_from_worker_processes(drawing: None) -> None:
    here, there = draw_lesson(0, 60, SIDE, 0), draw_lesson(0, 60, SIDE, 1)
    assert np.array_equal(here.pictures, there.pictures)
    assert np.array_equal(here.labels, there.labels)


def test_attributes_that_are_not_shown_teach_nothing() -> None:
    logits = tuple(torch.randn(2, len(values), requires_grad=True) for values in ATTRIBUTES.values())
    labels = torch.full((2, len(ATTRIBUTES)), -1)
    labels[0, 0] = 1
    masked_loss(logits, labels).backward()
    first = logits[0].grad
    assert first is not None and first[0].abs().sum() > 0 and first[1].abs().sum() == 0
    assert all(it.grad is None or it.grad.abs().sum() == 0 for it in logits[1:])


def test_the_judge_looks_at_pictures_of_any_size() -> None:
    judge = Judge(SIDE).eval()
    seen = judge_pictures(judge, np.zeros((3, 48, 64, 3), np.uint8))
    assert len(seen) == 3 and seen[0].keys() == ATTRIBUTES.keys()


def test_softened_pictures_stay_pictures_and_keep_their_colors() -> None:
    x = torch.zeros(8, 3, SIDE, SIDE)
    x[:, 0] = 0.8
    soft = soften(x, torch.Generator().manual_seed(0))
    assert soft.shape == x.shape and soft.abs().max() <= 1
    assert (soft.mean((2, 3)) - x.mean((2, 3))).abs().max() < 0.15
    assert torch.equal(soft, soften(x, torch.Generator().manual_seed(0)))


def test_what_the_judge_is_not_sure_of_is_known() -> None:
    sure, unsure = Share(99, 100).figures, Share(90, 100).figures
    assert failed({"place": Mark(sure, sure), "time": Mark(sure, unsure), "sofa": Mark(unsure, sure)}) == [
        "time",
        "sofa",
    ]


# Painting: fakes that write into each picture which one it is, and a judge that reads it there.


class FakePainter:
    """Paints the number of the prompt into the picture; after `patience` chunks it is killed."""

    def __init__(self, prompts: Sequence[str], patience: int = 1000) -> None:
        self.numbers = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompts))}
        self.patience = patience
        self.painted: list[Chunk] = []

    def __call__(self, chunk: Chunk) -> Bytes:
        if len(self.painted) == self.patience:
            raise KeyboardInterrupt
        self.painted.append(chunk)
        pixels = np.zeros((len(chunk.prompts), 8, 8, 3), np.uint8)
        for index, prompt in enumerate(chunk.prompts):
            pixels[index, 0, 0, :2] = divmod(self.numbers.get(prompt, 0), 256)
            pixels[index, 0, 1, 0] = chunk.seeds[index] % 256
            pixels[index, 0, 1, 1] = chunk.negatives is not None
        return pixels


def studio_of(painter: FakePainter, folder: Path) -> Studio:
    return Studio(painter, folder, "fake 1", (8, 8), steps=2, batch=7)


def guess(rng: random.Random) -> dict[str, str]:
    return {attribute: rng.choice(values) for attribute, values in ATTRIBUTES.items()}


def test_a_killed_evaluation_paints_nothing_twice(tmp_path: Path) -> None:
    asked = ask_both(20)
    prompts = [it.prompt for it in asked]
    killed = FakePainter(prompts, patience=3)
    with pytest.raises(KeyboardInterrupt):
        paint_all(studio_of(killed, tmp_path), asked, 4.0)
    second = FakePainter(prompts)
    pixels = paint_all(studio_of(second, tmp_path), asked, 4.0)
    assert len(second.painted) == 6 - 3
    assert not {chunk.key for chunk in killed.painted} & {chunk.key for chunk in second.painted}
    assert [int(it[0, 0, 0]) * 256 + int(it[0, 0, 1]) for it in pixels] == [second.numbers[it] for it in prompts]
    assert [int(it[0, 1, 0]) for it in pixels] == [it.seed for it in asked]


def test_other_guidance_weights_and_negatives_are_painted_anew(tmp_path: Path) -> None:
    asked = ask_both(3)
    painter = FakePainter([it.prompt for it in asked])
    studio = studio_of(painter, tmp_path)
    for changed, guidance, negatives in (
        (studio, 4.0, None),
        (studio, 1.0, None),
        (studio, 4.0, ["glasses"] * 6),
        (replace(studio, model="fake 2"), 4.0, None),
        (studio, 4.0, None),
    ):
        paint_all(changed, asked, guidance, negatives)
    assert [chunk.guidance for chunk in painter.painted] == [4.0, 4.0, 1.0, 1.0, 4.0, 4.0, 4.0, 4.0]


def test_the_first_prompts_are_not_painted_again(tmp_path: Path) -> None:
    asked = ask_both(20)
    painter = FakePainter([it.prompt for it in asked])
    studio = studio_of(painter, tmp_path)
    paint_all(studio, asked, 4.0)
    before = len(painter.painted)
    assert np.array_equal(paint_all(studio, first_of_each(asked, 7), 4.0)[7:], paint_all(studio, asked, 4.0)[20:27])
    assert len(painter.painted) == before


def test_worker_processes_paint_the_same(tmp_path: Path) -> None:
    asked = ask_both(6)
    painter = FakePainter([it.prompt for it in asked])
    here = paint_all(studio_of(painter, tmp_path / "here"), asked, 4.0)
    with painting_pool(1) as pool:
        there = paint_all(replace(studio_of(painter, tmp_path / "there"), pool=pool), asked, 4.0)
    assert np.array_equal(here, there)


def test_a_perfect_painter_scores_what_the_judge_knows(tmp_path: Path) -> None:
    asked = ask_both(150)
    painter = FakePainter([it.prompt for it in asked])
    truth = {painter.numbers[it.prompt]: it.picture for it in asked}
    rng = random.Random(0)

    def eye(pictures: Bytes) -> list[dict[str, str]]:
        seen = [guess(rng) | shown(truth[int(it[0, 0, 0]) * 256 + int(it[0, 0, 1])]) for it in pictures]
        # The judge errs on one picture in ten.
        return [{name: "wrong" for name in it} if index % 10 == 0 else it for index, it in enumerate(seen)]

    found = tables(studio_of(painter, tmp_path), eye, asked, 4.0, [])
    for language in ("zh", "en", "both"):
        assert found[language][ALL]["share"] == pytest.approx(0.9, abs=0.02)


def test_a_painter_that_ignores_its_prompt_scores_by_chance(tmp_path: Path) -> None:
    asked = ask_both(150)
    rng = random.Random(0)
    found = tables(
        studio_of(FakePainter([]), tmp_path), lambda pictures: [guess(rng) for _ in pictures], asked, 4.0, ["style"]
    )["both"]
    for attribute in ("place", "expression", "hair_color", "action"):
        chance = 1 / len(ATTRIBUTES[attribute])
        assert found[attribute]["low"] < chance < found[attribute]["high"] + 0.05
    assert found[ALL]["share"] < 0.3
    assert found[ALL]["count"] == sum(it["count"] for name, it in found.items() if name not in (ALL, "style"))


def test_each_language_has_shares_of_its_own() -> None:
    asked = ask_both(20)
    seen = [dict(shown(it.picture)) if it.language == "zh" else {name: "wrong" for name in ATTRIBUTES} for it in asked]
    found = shares_by_language(asked, seen)
    assert together(found["zh"]).value == 1 and together(found["en"]).value == 0
    assert together(found["both"]).count == len(answers_of(asked, seen))


def test_diversity_of_painted_and_drawn_pictures(drawing: None, tmp_path: Path) -> None:
    class Noise(FakePainter):
        def __call__(self, chunk: Chunk) -> Bytes:
            seeds = [np.random.default_rng(seed) for seed in chunk.seeds]
            return np.stack([rng.integers(0, 256, (8, 8, 3), np.uint8) for rng in seeds])

    features: Features = lambda pictures: torch.from_numpy(pictures.reshape(len(pictures), -1).astype(np.float32))  # noqa: E731
    noisy = measure_diversity(studio_of(Noise([]), tmp_path / "noisy"), features, 4.0, 3, 4)
    same = measure_diversity(replace(studio_of(FakePainter([]), tmp_path / "same"), batch=4), features, 4.0, 3, 4)
    assert noisy.painted > 0.5 and same.painted < 0.1
    assert noisy.drawn == same.drawn > 0


def test_negative_prompts_are_measured_on_prompts_that_leave_the_value_open(tmp_path: Path) -> None:
    painter = FakePainter([])

    def eye(pictures: Bytes) -> list[dict[str, str]]:
        nothing = {name: NOTHING for name in ATTRIBUTES}
        bespectacled = nothing | {"accessory": "glasses"}
        return [nothing if it[0, 1, 1] else bespectacled for it in pictures]

    glasses = measure_negatives(studio_of(painter, tmp_path), eye, 4.0, 8)[0]
    assert (glasses.attribute, glasses.value) == ("accessory", "glasses")
    assert (glasses.without["share"], glasses.with_it["share"], glasses.without["count"]) == (1.0, 0.0, 8)
    negatives = {it for chunk in painter.painted for it in chunk.negatives or ()}
    assert {"眼镜", "glasses"} <= negatives


# What is written down.


def findings() -> Findings:
    """Everything obeyed half, but for the place, and the judge unsure of the time."""
    half, most, nearly_all = Share(50, 100), Share(90, 100), Share(99, 100).figures
    sure, unsure = Mark(nearly_all, nearly_all), Mark(nearly_all, half.figures)
    table = table_of({"time": half, "place": most, "people": half}, ["time"])
    return Findings(
        model="fake@1",
        size=(128, 128),
        steps=25,
        guidance=4.0,
        machine="2 CPU cores",
        seconds_per_picture=1.5,
        prompts_per_language=100,
        judge={"place": sure, "time": unsure, "people": sure},
        guided={"zh": table, "en": table, "both": table},
        unguided={"zh": table, "en": table, "both": table},
        drawn=table,
        rebuilt=table,
        by_guidance={"1": half.figures, "4": most.figures},
        psnr_db={"all": 24.0, "plain": 25.0},
        diversity=Diversity(20, 8, 0.4, 0.2),
        negatives=[Negated("accessory", "glasses", half.figures, most.figures, 0.8, 0.7)],
    )


def test_what_the_judge_is_not_sure_of_is_left_out_of_all() -> None:
    table = findings().guided["both"]
    assert list(table) == [ALL, "place", "time", "people"]
    assert (table[ALL]["share"], table[ALL]["count"]) == (0.7, 200)


def test_the_page_of_tables_says_all_that_was_found() -> None:
    page = markdown(findings())
    assert "| place | 100 | 90.0 (82.6 … 94.5) | 90.0 | 90.0 | +0.0 | 90.0 | 90.0 | 90.0 |" in page
    assert "| time † | 100 |" in page and "not sure enough of time" in page
    assert "| accessory: glasses | 100 | 50.0" in page and "80.0 → 70.0" in page
    for line in page.splitlines():
        assert not line.startswith("|") or line.endswith("|")


def test_findings_are_kept_and_the_card_gets_the_essence(tmp_path: Path) -> None:
    save_findings(tmp_path, findings())
    kept = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert kept["guided"]["zh"]["place"]["share"] == 0.9
    assert card_figures(findings())["obeyed"] == {"zh": 0.7, "en": 0.7, "both": 0.7}
    assert ALL not in card_figures(findings())["obeyed_by_attribute"]


# The autoencoder, and the page.


def test_psnr_of_a_known_difference() -> None:
    pictures = np.full((2, 4, 4, 3), 100, np.uint8)
    assert psnr(pictures, pictures + 10) == pytest.approx(28.13, abs=0.01)
    by_style = psnr_by_style([PICTURE, replace(PICTURE, style="night_blue")], pictures, pictures + 10)
    assert by_style.keys() == {"all", "plain", "night_blue"}


def test_chinese_and_english_prompts_are_wrapped() -> None:
    from PIL import ImageFont

    font = ImageFont.truetype(str(OWN_FONT), 15)
    for text in (
        "一个紫色短发小女孩，穿着粉色连衣裙，坐在家里的沙发上，托着腮，无聊",
        "a girl with short purple hair, in the park",
    ):
        lines = wrap(text, 160, font)
        assert len(lines) > 1
        assert all(font.getlength(line) <= 175 for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert not any(line[0] in "，。、" for line in lines)


def test_the_page_has_a_cell_for_every_place() -> None:
    asked: list[Asked] = showcase_prompts()
    assert len({it.picture.place for it in asked}) == len(asked) == len(ATTRIBUTES["place"])
    assert [it.language for it in asked[:4]] == ["zh", "en", "zh", "en"]
    pixels = np.full((len(asked), 8, 8, 3), (200, 30, 30), np.uint8)
    page = showcase_page(asked, pixels, pixels)
    assert isinstance(page, Image.Image)
    assert (
        page.getcolors(1 << 16)
        and dict((color, count) for count, color in page.getcolors(1 << 16))[(200, 30, 30)] > 1e5
    )


def test_features_tell_pictures_apart() -> None:
    judge = Judge(SIDE).eval()
    pictures = np.stack([np.zeros((SIDE, SIDE, 3), np.uint8), np.full((SIDE, SIDE, 3), 255, np.uint8)])
    one, other = features_of(judge, pictures)
    assert not torch.allclose(one, other)


def test_asking_one_language_names_its_words() -> None:
    (zh,), (en,) = list(ask([PICTURE], "zh")), list(ask([PICTURE], "en"))
    assert any("\u4e00" <= char <= "\u9fff" for char in zh.prompt) and en.prompt.isascii()
