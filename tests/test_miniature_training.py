"""The miniature's training: what is learned, in which order, and how it goes on after a stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

lightning = pytest.importorskip("lightning")

from renderer.kolors.card import read_card  # noqa: E402
from renderer.miniature import train  # noqa: E402
from renderer.miniature.art.subjects import face_circles  # noqa: E402
from renderer.miniature.captions.vocabulary import load_tokenizer, train_vocabulary  # noqa: E402
from renderer.miniature.dataset import picture_of  # noqa: E402
from renderer.miniature.training import sampling  # noqa: E402
from renderer.miniature.training.autoencoder import (  # noqa: E402
    DrawnPictures,
    psnr,
    reconstruct,
    subject_masks,
    vae_course,
    vae_recipe,
    wash_out,
)
from renderer.miniature.training.course import Course, Draw, Recipe, learning_rate  # noqa: E402
from renderer.miniature.training.denoiser import (  # noqa: E402
    CaptionedLatents,
    mean_networks,
    told_sizes,
    unet_course,
    unet_recipe,
)
from renderer.miniature.training.export import export, update_card  # noqa: E402
from renderer.miniature.training.network import make_vae, seeded  # noqa: E402
from renderer.miniature.training.pack import pack, unpack  # noqa: E402
from renderer.miniature.training.parallel import SHARES, Team, generator_of, share_sizes  # noqa: E402
from renderer.miniature.training.sampling import load_networks, paint  # noqa: E402
from renderer.miniature.training.shelf import Shelf  # noqa: E402
from renderer.miniature.training.stretch import Stretch, StretchOver, mean_file, run_course  # noqa: E402
from renderer.miniature.training.texts import training_captions, write_texts  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def torch_threads() -> Iterator[None]:
    """A team takes torch's threads away; other tests want them back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    train_vocabulary(folder, 0)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tokenizer_folder: Path) -> Path:
    """A model folder of untrained networks."""
    folder = tmp_path_factory.mktemp("model") / "kolors-mini"
    course = make_unet_course(2, Team(2), tokenizer_folder)
    vae = make_vae(32).eval()
    export(folder, tokenizer_folder, mean_networks(course, vae, load_tokenizer(tokenizer_folder)), 32, {"pictures": 8})
    return folder


def make_vae_course(steps: int, team: Team, _: Path, seed: int = 0) -> Course:
    """A course over pictures of noise in both frames."""
    rng = np.random.default_rng(0)
    drawn = {
        frame: DrawnPictures(
            torch.from_numpy(rng.integers(0, 256, (count, height, width, 3), np.uint8)),
            torch.from_numpy(rng.integers(0, 2, (count, 1, height // 8, width // 8), np.uint8)),
        )
        for frame, count, height, width in (("square", 9, 32, 32), ("landscape", 5, 24, 40))
    }
    return vae_course(drawn, 32, vae_recipe(steps, 4, seed), team)


def make_unet_course(steps: int, team: Team, tokenizer_folder: Path, seed: int = 0) -> Course:
    """A course over latents of noise, with the captions of the book's first pictures."""
    texts = torch.from_numpy(write_texts(tokenizer_folder, np.arange(6), 0))
    generator = torch.Generator().manual_seed(0)
    captioned = {
        frame: CaptionedLatents(torch.randn((6, 4, height, width), generator=generator).half(), texts)
        for frame, height, width in (("square", 8, 8), ("landscape", 4, 8))
    }
    tokenizer = load_tokenizer(tokenizer_folder)
    return unet_course(captioned, make_vae(64), tokenizer, unet_recipe(steps, 4, seed), CPU, team)


COURSES = pytest.mark.parametrize("make_course", [make_vae_course, make_unet_course])


class Counter(Stretch):
    """A stretch that ends after so many steps."""

    def __init__(self, steps: int) -> None:
        super().__init__(CPU)
        self._left = steps

    @property
    def over(self) -> bool:
        self._left -= 1
        return self.stopped or self._left <= 0


class Shown:
    """Remembers at which steps a course was shown."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def __call__(self, course: Course) -> None:
        self.steps.append(course.progress.steps)


ONE_THREAD = Team(1)


def plain_course(steps: int, loss_of=None, team: Team | None = ONE_THREAD) -> Course:
    """A course of one straight line."""
    with seeded(0):
        line = torch.nn.Linear(3, 1)

    def loss(draw: Draw) -> torch.Tensor:
        return line(torch.randn(draw.count, 3, generator=draw.generator)).square().mean()

    return Course(line, loss_of or loss, Recipe(steps, 8, 1e-2, 0.0, 0), team)


def state_of(course: Course) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in course.state_dict().items()}


def differing(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


# Going on after a stop.


@COURSES
def test_stopped_and_resumed_course_equals_an_uninterrupted_one_bit_for_bit(make_course, tmp_path, tokenizer_folder):
    whole = make_course(6, Team(2), tokenizer_folder)
    before = state_of(whole)
    run_course(whole, tmp_path / "whole.ckpt", Stretch(CPU), Shown())

    file = tmp_path / "parts.ckpt"
    with pytest.raises(StretchOver):
        run_course(make_course(6, Team(2), tokenizer_folder), file, Counter(3), Shown())
    resumed = make_course(6, Team(1), tokenizer_folder)
    run_course(resumed, file, Stretch(CPU), Shown())
    for left in tmp_path.glob("*.ckpt"):
        left.unlink()

    assert resumed.progress.steps == whole.progress.steps == 6
    assert resumed.progress.pictures == 24
    assert differing(state_of(resumed), state_of(whole)) == []
    assert len(differing(before, state_of(whole))) > 100


@COURSES
def test_one_thread_computes_the_same_gradients_as_two(make_course, tokenizer_folder):
    gradients = []
    for threads in (1, 2):
        course = make_course(6, Team(threads), tokenizer_folder)
        course._differentiate(0)
        gradients.append({name: p.grad for name, p in course.module.named_parameters() if p.grad is not None})
    assert len(gradients[0]) > 50
    assert differing(*gradients) == []


def test_another_seed_gives_other_weights():
    courses = [make_vae_course(1, Team(1), Path(), seed) for seed in (0, 1)]
    assert differing(*(state_of(course) for course in courses))


def test_without_a_team_the_whole_batch_is_computed_at_once(tmp_path):
    counts: list[int] = []

    def loss_of(draw: Draw) -> torch.Tensor:
        counts.append(draw.count)
        return course.module(torch.randn(draw.count, 3, generator=draw.generator)).square().mean()

    course = plain_course(3, loss_of, None)
    before = state_of(course)
    run_course(course, tmp_path / "a.ckpt", Stretch(CPU), Shown())
    assert counts == [8, 8, 8]
    assert {"module.weight", "mean.weight"} <= set(differing(before, state_of(course)))


def test_finished_course_is_taken_as_it_is(tmp_path):
    first = plain_course(3)
    run_course(first, tmp_path / "a.ckpt", Stretch(CPU), Shown())
    again, shown = plain_course(3), Shown()
    run_course(again, tmp_path / "a.ckpt", Stretch(CPU), shown)
    assert differing(state_of(first), state_of(again)) == []
    assert shown.steps == []


def test_more_steps_may_be_asked_for_later(tmp_path):
    run_course(plain_course(3), tmp_path / "a.ckpt", Stretch(CPU), Shown())
    longer, shown = plain_course(5), Shown()
    run_course(longer, tmp_path / "a.ckpt", Stretch(CPU), shown)
    assert longer.progress.steps == 5
    assert shown.steps == [5]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_stretch_after_the_step_and_all_is_saved(number, tmp_path):
    def loss_of(draw: Draw) -> torch.Tensor:
        if draw.step == 2 and not sent:
            sent.append(number)
            os.kill(os.getpid(), number)
        return course.module(torch.ones(draw.count, 3)).mean()

    course, shown, sent = plain_course(50, loss_of), Shown(), []
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(StretchOver):
        run_course(course, tmp_path / "a.ckpt", Stretch(CPU), shown)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    saved = torch.load(tmp_path / "a.ckpt", weights_only=True)
    # The main thread takes the signal up at its next turn: after this step or, on a busy machine, one of the next.
    assert 3 <= saved["course"]["steps"] == course.progress.steps < 50
    assert shown.steps == []


def test_minutes_end_the_stretch_with_a_checkpoint_and_a_sample(tmp_path):
    course, shown = plain_course(50), Shown()
    with pytest.raises(StretchOver):
        run_course(course, tmp_path / "a.ckpt", Stretch(CPU, minutes=0.0), shown)
    assert shown.steps == [1]
    assert [file.name for file in tmp_path.iterdir()] == ["a.ckpt"]


def test_checkpoint_is_whole_or_the_one_before(tmp_path, monkeypatch):
    file = tmp_path / "a.ckpt"
    with pytest.raises(StretchOver):
        run_course(plain_course(9), file, Counter(3), Shown())
    before = file.read_bytes()

    def break_off(self: object, path: Path, **_: object) -> None:
        Path(path).write_bytes(before[:100])
        raise OSError("disk full")

    monkeypatch.setattr(lightning.Trainer, "save_checkpoint", break_off)
    with pytest.raises(OSError):
        run_course(plain_course(9), file, Counter(3), Shown())
    assert file.read_bytes() == before


# The schedule.


def test_the_past_of_a_schedule_does_not_depend_on_the_total():
    shorter, longer = (Recipe(steps, 8, 1e-3, 0.0, 0) for steps in (1000, 5000))
    rates = [[learning_rate(recipe, step) for step in range(800)] for recipe in (shorter, longer)]
    assert rates[0] == rates[1]
    assert rates[0][0] == pytest.approx(1e-5)
    assert rates[0][99] == rates[0][799] == 1e-3


def test_the_last_fifth_cools_down_to_nothing():
    recipe = Recipe(1000, 8, 1e-3, 0.0, 0)
    assert learning_rate(recipe, 900) == pytest.approx(0.5e-3)
    assert 0 < learning_rate(recipe, 999) < 1e-5


def test_restarted_course_warms_up_again():
    recipe = Recipe(5000, 8, 1e-3, 0.0, 0)
    assert learning_rate(recipe, 2000, restarted_at=2000) == pytest.approx(1e-5)
    assert learning_rate(recipe, 2100, restarted_at=2000) == 1e-3


# A pack for another machine.


def test_small_pack_goes_on_bit_for_bit(tmp_path):
    whole = plain_course(6)
    run_course(whole, tmp_path / "whole.ckpt", Stretch(CPU), Shown())
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    with pytest.raises(StretchOver):
        run_course(plain_course(6), here / "unet.ckpt", Counter(3), Shown())
    pack(here, tmp_path / "parts")
    unpack(tmp_path / "parts", there)
    resumed = plain_course(6)
    run_course(resumed, there / "unet.ckpt", Stretch(CPU), Shown())
    assert differing(state_of(whole), state_of(resumed)) == []


def test_large_pack_goes_on_from_the_running_mean(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    course = plain_course(6)
    with pytest.raises(StretchOver):
        run_course(course, here / "unet.ckpt", Counter(3), Shown())
    pack(here, tmp_path / "parts", limit=100)
    there.mkdir()
    (there / "unet.ckpt").write_bytes(b"an older checkpoint")
    unpack(tmp_path / "parts", there)
    assert not (there / "unet.ckpt").exists()
    assert mean_file(there / "unet.ckpt").exists()
    resumed = plain_course(6)
    with pytest.raises(StretchOver):
        run_course(resumed, there / "unet.ckpt", Counter(1), Shown())
    assert (resumed.progress.steps, resumed.progress.restarted_at, resumed.progress.pictures) == (4, 3, 32)
    # One step of a warm-up changes little.
    assert torch.allclose(resumed.module.weight, course.mean.weight, atol=2e-3)


def test_unpacking_nothing_says_so(tmp_path):
    with pytest.raises(SystemExit, match="part-00"):
        unpack(tmp_path, tmp_path / "work")


# What a step learns from.


def test_shares_are_always_as_many_and_hold_the_batch():
    assert share_sizes(8) == [2, 2, 2, 2]
    assert share_sizes(7) == [2, 2, 2, 1]
    assert len(share_sizes(64)) == SHARES


def test_shares_of_a_step_are_of_one_frame_and_frames_come_as_often_as_they_have_pictures():
    shelf = Shelf({"square": "square", "landscape": "landscape"}, {"square": 30, "landscape": 10}, seed=0)
    chosen = [
        {shelf.choose(Draw(step, 2, generator_of(0, step, share)))[0] for share in range(SHARES)} for step in range(400)
    ]
    assert all(len(frames) == 1 for frames in chosen)
    assert 60 < sum(frames == {"landscape"} for frames in chosen) < 140


def test_captions_of_a_picture_vary_and_repeat_for_the_same_seed():
    first, again, other = training_captions(3, 0), training_captions(3, 0), training_captions(3, 1)
    assert first == again != other
    assert len(set(first)) > 8


def test_some_captions_are_empty():
    captions = [caption for seed in range(60) for caption in training_captions(seed, 0)]
    assert 0.05 < captions.count("") / len(captions) < 0.16


def test_masks_lie_where_faces_bodies_and_things_are():
    landscapes = [each for each in map(picture_of, range(400)) if each.frame == "landscape"]
    pair = next(each for each in landscapes if len(each.figures) == 2)
    alone = next(each for each in landscapes if each.things and not each.figures)
    mask, things = subject_masks([pair, alone], (24, 40))[:, 0]
    assert 0 < mask.astype(bool).mean() < 0.7
    for x, y, radius in face_circles(pair):
        assert mask[int(y * 24), int(x * 24)] == 2
        assert mask[min(23, int((y + 1.2 * radius) * 24)), int(x * 24)] == 1
    assert set(np.unique(things)) == {0, 1}


def test_half_of_the_told_sizes_are_true():
    sizes = told_sizes(400, (96, 160), torch.Generator().manual_seed(0))
    true = (sizes == torch.tensor([96, 160])).all(dim=1).float().mean()
    assert 0.4 < true < 0.6
    assert (sizes % 32 == 0).all()
    assert sizes.min() == 64 and sizes.max() == 512


# The autoencoder.


def test_one_picture_in_five_is_washed_out_towards_a_pale_grey() -> None:
    x = torch.tensor([0.9, -0.6, -0.2]).view(1, 3, 1, 1).expand(2000, 3, 2, 2)
    seen = wash_out(x, torch.Generator().manual_seed(0))
    changed = (seen != x).flatten(1).any(dim=1)
    assert 0.16 < changed.float().mean() < 0.24
    washed = seen[changed]
    assert washed.abs().max() <= 1
    spread = washed.amax(dim=1) - washed.amin(dim=1)
    assert (spread <= 1.5 + 1e-6).all() and spread.min() < 0.1  # never more colour, and at times hardly any
    luma = torch.tensor([0.2126, 0.7152, 0.0722]).view(3, 1, 1)
    assert ((washed * luma).sum(dim=1) >= (x[0] * luma).sum(dim=0).max() - 1e-6).all()  # never darker


def test_psnr_is_of_bytes_there_and_back():
    vae = make_vae(32)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    back = reconstruct(vae, pictures)
    error = np.mean((back.astype(float) - pictures) ** 2)
    assert psnr(vae, pictures) == pytest.approx(10 * np.log10(255**2 / error))


# Painting.


def test_a_picture_is_painted_alike_alone_and_in_company(finished):
    networks = load_networks(finished)
    both = paint(networks, ["a girl", "a boy"], (32, 32), [5, 6], steps=2)
    alone = paint(networks, ["a boy"], (32, 32), [6], steps=2)
    assert both.shape == (2, 32, 32, 3)
    assert np.abs(both[1].astype(int) - alone[0]).max() <= 1
    assert not np.array_equal(both[0], both[1])


def test_landscape_is_wide_and_more_pictures_than_a_batch_are_painted(finished, monkeypatch):
    monkeypatch.setattr(sampling, "_CPU_BATCH", 2)
    painted = paint(load_networks(finished), ["a girl"] * 3, (64, 32), [1, 2, 3], steps=1)
    assert painted.shape == (3, 32, 64, 3)


def test_negative_prompts_count_only_with_guidance(finished):
    networks = load_networks(finished)
    calls: list[int] = []
    networks.unet.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))

    def painted(negative: str, guidance: float) -> np.ndarray:
        return paint(networks, ["a girl"], (32, 32), [0], negatives=[negative], steps=2, guidance=guidance)

    assert np.array_equal(painted("snow", 1.0), painted("the sea", 1.0))
    assert calls == [1, 1, 1, 1]
    assert not np.array_equal(painted("snow", 4.0), painted("the sea", 4.0))
    assert calls[4:] == [2, 2, 2, 2]


# The model folder.


def test_model_folder_has_a_card_and_fits_the_package(finished):
    card = read_card(finished)
    assert card.size == (32, 32)
    assert card.learned_sizes == ((32, 32), (40, 24))
    assert sum(file.stat().st_size for file in finished.rglob("*") if file.is_file()) <= 30e6


def test_evaluation_is_added_to_the_card(finished):
    before = read_card(finished)
    update_card(finished, {"vae_psnr_db": 30.5})
    update_card(finished, {"obeyed": {"place": 1.0}})
    text = (finished / "model.json").read_text(encoding="utf-8")
    assert '"vae_psnr_db": 30.5' in text and '"place": 1.0' in text
    assert read_card(finished) == before


# The whole command.


def test_command_trains_from_nothing_and_goes_on(tmp_path):
    pytest.importorskip("resvg_py")
    options = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), "--size", "32", "--pictures", "12"]
    options += ["--vae-steps", "2", "--unet-steps", "1", "--unet-batch", "4", "--device", "cpu", "--threads", "2"]
    train.main([*options, "--max-minutes", "0"])
    assert not (tmp_path / "out").exists()
    train.main(options)
    assert len(paint(load_networks(tmp_path / "out"), ["a girl"], (32, 32), [0], steps=1)) == 1
    assert {file.name for file in (tmp_path / "work").glob("*.png")} == {
        "vae-000002.png",
        "story-000001.png",
        "wide-000001.png",
    }
    card = (tmp_path / "out" / "model.json").read_text(encoding="utf-8")
    assert '"vae_pictures_seen": 16' in card and '"unet_pictures_seen": 4' in card
    with pytest.raises(SystemExit, match="pictures was 12 and is 13"):
        train.main([*options, "--pictures", "13"])


def test_library_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    make_vae_course(1, Team(1), Path())
    assert torch.equal(torch.rand(3), expected)
