"""The trainer's pages: what they say, and how they stand in a real browser, opened from disk."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from PIL import Image

from renderer.errors import RunFolderError
from renderer.looking.html import bundled_templates
from renderer.trainer.data.report import Look, Report, Step
from renderer.trainer.data.samples import Finding, Sample
from renderer.trainer.pages import TrainingView, write_dataset_page, write_training_page
from renderer.trainer.showing.charts import bar_chart, line_chart, nice_steps, place_on, smoothed
from tests.albums import album, draw, plant_faults, prepare, recipe_of, save
from tests.pages import parse, reload, select, words

HOSTILE = "</script><script>hacked=1</script>\"'><img src=x onerror=hacked=1> javascript:hacked=1 \u202eevil\x00"


def view(**changes) -> TrainingView:
    losses = [(step, 1 / step + 0.1, 0.2 if step % 10 == 0 else None, 1e-4) for step in range(1, 41)]
    values = {
        "name": "pencil",
        "recipe_digest": "ab12" * 16,
        "step": 40,
        "steps": 100,
        "eta": 75.0,
        "losses": losses,
        "samples": [(20, [("一个女孩", "samples/000020-01.png"), ("a cat", "samples/000020-02.png")])],
        "state": "running",
    }
    return TrainingView(**values | changes)


def page_of(folder: Path, **changes):
    return parse(write_training_page(folder, view(**changes)).read_text(encoding="utf-8"))


# Charts


@pytest.mark.parametrize(
    ("low", "high", "count", "steps"),
    [
        (0, 100, 4, [0, 25, 50, 75, 100]),
        (0.031, 0.187, 4, [0, 0.05, 0.1, 0.15, 0.2]),
        (0, 1e-4, 2, [0, 5e-5, 1e-4]),
        (7, 7, 4, [5, 10]),
        (0, 0, 4, [0, 1]),
        (-3, 5, 4, [-4, -2, 0, 2, 4, 6]),
    ],
)
def test_axes_have_round_numbers(low, high, count, steps):
    assert nice_steps(low, high, count) == pytest.approx(steps)


def test_a_curve_is_where_its_numbers_say():
    chart = line_chart([("train", [(0, 0.0), (50, 0.5), (100, 1.0)], True)], 100)
    [curve] = chart.curves
    assert curve.path == "M0 1000L500 500L1000 0"
    assert curve.dots == ((0, 1000), (500, 500), (1000, 0))
    assert [tick.label for tick in chart.across] == ["0", "20", "40", "60", "80", "100"]
    assert chart.up[0].at == 100 and chart.up[-1].at == 0


def test_what_is_no_number_and_far_out_does_not_spoil_a_chart():
    points = [(step, 0.5) for step in range(300)] + [(300, math.nan), (301, math.inf), (302, 1e9)]
    chart = line_chart([("train", points, False)], 400)
    assert float(chart.up[-1].label) < 2
    assert "nan" not in chart.curves[0].path and "inf" not in chart.curves[0].path
    assert chart.curves[0].path.endswith("L755 0")
    assert line_chart([("train", [(1, math.nan)], False)], 10).curves == ()


def test_smoothing_is_unbiased_and_calms():
    flat = smoothed([(step, 2.0) for step in range(50)])
    assert all(value == pytest.approx(2.0) for _, value in flat)
    noisy = smoothed([(step, step % 2) for step in range(1000)])
    assert all(abs(value - 0.5) < 0.1 for _, value in noisy[100:])
    assert smoothed([(0, math.nan), (1, 3.0)]) == [(1, 3.0)]


def test_bars_count_everything_once():
    values = [(-5.0, True), (0.0, True), (9.99, False), (10.0, True), (20.0, False), (99.0, True)]
    chart = bar_chart(values, [0, 10, 20], ["0", "10", "20"])
    assert [bar.title for bar in chart.bars] == ["0 – 10: 2 + 1", "10 – 20: 2 + 1"]
    assert chart.most == 3 and chart.bars[0].kept == pytest.approx(666.67, abs=0.01)
    assert [place_on(value, [0, 10, 20]) for value in (-1, 0, 5, 10, 20, 30)] == [0, 0, 25, 50, 100, 100]


# The page of a training


def test_a_running_training_says_how_far_it_is_and_reloads(tmp_path):
    page = page_of(tmp_path)
    assert "data-running" in select(page, "body")[0].attrib
    assert words(select(page, ".painting")[0]) == "步 40 / 100 · 剩余时间 1:15"
    assert [it.get("content") for it in select(page, "noscript meta")] == ["10"]
    assert words(select(page, "title")[0]) == "(40/100) pencil"


def test_a_finished_training_stays_as_it_is(tmp_path):
    page = page_of(tmp_path, state="finished", step=100)
    assert "data-running" not in select(page, "body")[0].attrib
    assert not select(page, ".painting") and not select(page, "noscript")
    assert words(select(page, "title")[0]) == "pencil"


def test_a_stopped_training_says_so_and_waits(tmp_path):
    page = page_of(tmp_path, state="stopped")
    assert "data-running" not in select(page, "body")[0].attrib
    assert not select(page, ".painting") and not select(page, "noscript")
    assert "已停止" in words(select(page, ".facts")[0])
    assert words(select(page, "title")[0]) == "(40/100) pencil"


def test_losses_rate_and_samples_are_shown_the_newest_first(tmp_path):
    shots = [(20, [("a cat", "samples/a 1.png")]), (40, [("a cat", "samples/ö.png")])]
    page = page_of(tmp_path, samples=shots)
    curves = [it.get("class") for it in select(page, "path.curve")]
    assert curves == ["curve raw", "curve train", "curve validation", "curve rate"]
    assert [words(it) for it in select(page, ".samples h3")] == ["Step 40", "Step 20"]
    assert [it.get("src") for it in select(page, ".shots img")] == ["samples/%C3%B6.png", "samples/a%201.png"]
    assert "0.2000" in words(select(page, ".facts .validation")[0])


def test_a_training_that_has_just_begun(tmp_path):
    page = page_of(tmp_path, step=0, losses=[], samples=[], eta=None)
    assert words(select(page, ".empty")[0]) == "No step is done yet."
    assert words(select(page, ".painting")[0]) == "Step 0 of 100"
    only_validation = page_of(tmp_path, losses=[(0, None, 0.5, None)])
    assert [it.get("class") for it in select(only_validation, "path.curve")] == ["curve validation"]


def test_a_loss_that_is_no_number_is_told_with_its_step(tmp_path):
    page = page_of(tmp_path, losses=[(1, 0.5, None, 1e-4), (2, math.nan, None, 1e-4), (3, math.inf, None, 1e-4)])
    assert words(select(page, ".reason")[0]).endswith(" 2")


def test_the_data_sets_page_is_linked_where_there_is_one(tmp_path):
    assert not select(page_of(tmp_path), ".onward")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "index.html").touch()
    assert [it.get("href") for it in select(page_of(tmp_path), ".onward a")] == ["data/index.html"]


def test_hostile_names_and_prompts_stay_text(tmp_path):
    page = page_of(tmp_path, name=HOSTILE, samples=[(1, [(HOSTILE, f"samples/{HOSTILE}.png")])])
    assert len(select(page, "script")) == 3 and len(select(page, "img")) == 1
    assert not [it for it in page.iter() for name in it.attrib if name.startswith("on")]
    assert select(page, ".shots a")[0].get("href", "").startswith("samples/%3C/script%3E")


def test_a_page_that_can_not_be_written_says_so(tmp_path):
    (tmp_path / "index.html").mkdir()
    with pytest.raises(RunFolderError, match="train elsewhere with --run DIR"):
        write_training_page(tmp_path, view())


def test_every_word_is_said_in_both_languages():
    tables = yaml.safe_load((bundled_templates() / "trainer-words.yaml").read_text(encoding="utf-8"))
    assert set(tables) == {"en", "zh"} and tables["en"].keys() == tables["zh"].keys()
    assert all(text for table in tables.values() for text in table.values())
    used = set()
    for name in ("trainer.html.j2", "training.html.j2", "dataset.html.j2", "charts.html.j2"):
        text = (bundled_templates() / name).read_text(encoding="utf-8")
        used |= set(re.findall(r'data-word(?:-\w+)?="(\w+)"|\b(?:word|label|fact)\("(\w+)"', text))
    assert {one or other for one, other in used} <= tables["en"].keys()


# The page of a data set


def report(names=("a.png",), dropped=(), caption="a caption", **changes) -> Report:
    samples = tuple(Sample(name, Path("/pictures") / name, caption, 96, 80, "0" * 64) for name in names)
    looks = {name: Look(96, 80, caption, f"{number}.webp", {}) for number, name in enumerate((*names, *dropped))}
    findings = tuple(Finding(name, "filtered", "image_shape_filter", "image_width 96") for name in dropped)
    values = {
        "inputs": "",
        "samples": samples,
        "findings": findings,
        "looks": looks,
        "steps": (),
        "duplicates": (),
        "words": (),
    }
    return Report(**values | changes)


def dataset_page_of(folder: Path, found: Report):
    recipe = recipe_of(folder, data="folder: .")
    return parse(write_dataset_page(folder, found, recipe).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The folder of a data set with faults and duplicates, whose page is written."""
    folder = tmp_path_factory.mktemp("prepared")
    album(folder / "pictures", 12)
    plant_faults(folder / "pictures")
    save(folder / "pictures", "again.png", draw(1), "the same, 一个女孩")
    save(folder / "pictures", "smaller.jpg", draw(2, 90, 75), "nearly the same, 一个女孩")
    save(folder / "pictures", "a#b &c%20.png", draw(50, 120, 90), HOSTILE.replace("\x00", ""))
    prepare(folder)
    return folder / "run" / "data"


def test_kept_and_left_out_pictures_with_their_reasons(prepared):
    page = parse((prepared / "index.html").read_text(encoding="utf-8"))
    tiles = {words(select(it, ".name bdi")[0]): it for it in select(page, ".tile")}
    assert len(tiles) == 12 + 10 + 3
    assert tiles["01.png"].get("data-is") == "kept" and "image" not in words(tiles["01.png"])
    assert words(select(tiles["truncated.jpg"], ".note-out")[0]).startswith("文件不完整 its file ends too early")
    assert set(tiles["turned.jpg"].get("data-is", "").split()) == {"kept", "turned"}
    assert words(select(tiles["turned.jpg"], ".note-in b")[0]) == "已转正"
    chips = {words(it) for it in select(page, ".chip")}
    assert {"全部 25", "保留 16", "剔除 9", "没有标注 1", "太小 1"} <= chips


def test_thumbnails_are_files_beside_the_page_loaded_as_they_come_into_view(prepared):
    page = parse((prepared / "index.html").read_text(encoding="utf-8"))
    images = select(page, ".tile img")
    assert images and all(it.get("loading") == "lazy" for it in images)
    for image in images:
        with Image.open(prepared / image.get("src", "")) as thumb:
            assert max(thumb.size) <= 288


def test_links_lead_to_the_pictures_themselves(prepared):
    page = parse((prepared / "index.html").read_text(encoding="utf-8"))
    links = [it.get("href", "") for it in select(page, ".tile a")]
    assert len(links) > 15
    assert all((prepared / unquote(link)).is_file() for link in links)


def test_duplicates_words_and_charts(prepared):
    page = parse((prepared / "index.html").read_text(encoding="utf-8"))
    twins = [
        (words(select(it, "h3 span")[0]), [words(name) for name in select(it, "bdi")]) for it in select(page, ".twins")
    ]
    assert twins == [("像素完全相同", ["01.png", "again.png"]), ("几乎相同", ["02.png", "smaller.jpg"])]
    cloud = {words(it) for it in select(page, ".cloud li")}
    assert {"女孩 14", "picture 12"} <= cloud
    assert len(select(page, ".bars")) == 2 and len(select(page, "path.mark")) == 2
    counted = re.findall(r": (\d+) \+ (\d+)", " ".join(words(it) for it in select(select(page, ".bars")[0], "title")))
    assert sum(int(kept) for kept, _ in counted) == 16


def test_the_filters_steps_are_shown(tmp_path):
    steps = (
        Step("image_shape_filter", {"min_width": 100, "max_width": 1000.5}, 5, 3),
        Step("text_length_filter", {}, 3, 3),
    )
    page = dataset_page_of(tmp_path, report(("a.png",), ("b.png",), steps=steps))
    shown = [words(it) for it in select(page, ".steps li")]
    assert shown == [
        "filter[0] image_shape_filter min_width: 100, max_width: 1000 5 → 3",
        "filter[1] text_length_filter 3 → 3",
    ]
    out = next(it for it in select(page, ".tile") if "dropped" in it.get("data-is", ""))
    assert "image_shape_filter image_width 96" in words(out)


def test_names_captions_and_reasons_of_strangers_stay_text(tmp_path):
    page = dataset_page_of(
        tmp_path,
        report(
            (HOSTILE, "a.png"),
            (HOSTILE + "2",),
            HOSTILE,
            words=((HOSTILE, 3),),
            steps=(Step(HOSTILE, {HOSTILE: HOSTILE}, 1, 1),),
        ),
    )
    assert len(select(page, "script")) == 3
    assert not [it for it in page.iter() for name in it.attrib if name.startswith("on")]
    assert not [it for it in select(page, "a") if ":" in it.get("href", "")]


def test_the_data_sets_page_is_headed_by_the_recipes_title(tmp_path):
    recipe = dataclasses.replace(recipe_of(tmp_path, data="folder: ."), title="Red pandas")
    page = parse(write_dataset_page(tmp_path, report(), recipe).read_text(encoding="utf-8"))
    assert words(select(page, "h1")[0]) == words(select(page, "title")[0]) == "Red pandas"


def test_a_data_set_with_nothing_in_it(tmp_path):
    page = dataset_page_of(tmp_path, report((), looks={}))
    assert not select(page, ".tile") and not select(page, ".bars")
    assert words(select(page, ".facts .kept dd")[0]) == "0"


def test_thousands_of_pictures_make_a_page_that_says_how_many_more(tmp_path):
    path = write_dataset_page(
        tmp_path, report([f"{n}.png" for n in range(3500)]), recipe_of(tmp_path, data="folder: .")
    )
    page = parse(path.read_text(encoding="utf-8"))
    assert len(select(page, ".tile")) == 3000
    assert "500 more are in report.json" in words(select(page, ".all")[0])
    assert path.stat().st_size < 3_000_000


# In a browser


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The run folder of a training that is on its way, with pictures."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "samples").mkdir()
    shots = []
    for step in (20, 40):
        for number in (1, 2):
            save(folder, f"samples/{step:06d}-{number:02d}.png", draw(step + number))
        prompts = ["一个女孩" * 60, HOSTILE.replace("\x00", "")]
        shots.append((step, [(prompt, f"samples/{step:06d}-{n:02d}.png") for n, prompt in enumerate(prompts, 1)]))
    write_training_page(folder, view(samples=shots))
    return folder / "index.html"


@pytest.mark.browser
@pytest.mark.parametrize("which", ["trained", "prepared"])
@pytest.mark.parametrize("width", [1400, 768, 375])
def test_nothing_is_wider_than_the_page_and_pictures_load(request, open_page, which, width):
    page = open_page(_page(request, which), width)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    page.wait_for_timeout(300)
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth)")
    assert page.evaluate("window.hacked") is None


@pytest.mark.browser
@pytest.mark.parametrize("width", [1400, 375])
def test_labels_of_a_chart_stand_beside_its_curves(tmp_path, open_page, width):
    losses = [(step, 0.05 + 0.001 * step, None, 1.25e-5 * step) for step in range(1, 41)]
    page = open_page(write_training_page(tmp_path, view(losses=losses, samples=[])), width)
    beside = page.locator(".chart").evaluate_all("""charts => charts.flatMap((chart) => {
        const [line, panel] = [chart.querySelector(".grid"), chart.closest(".panel")];
        const [plot, edge] = [line, panel].map((it) => it.getBoundingClientRect().left);
        const sides = [...chart.querySelectorAll("text.up")].map((label) => label.getBoundingClientRect());
        return sides.map(({ left, right }) => right < plot && left > edge);
    })""")
    assert len(beside) >= 5 and all(beside)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["trained", "prepared"])
def test_axe_finds_nothing_in_either_theme_and_language(request, open_page, which, scheme):
    axe = Path(pytest.importorskip("axe_playwright_python").__file__).with_name("axe.min.js").read_text("utf-8")
    page = open_page(_page(request, which), color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    page.add_style_tag(content=".tile { content-visibility: visible !important }")
    page.evaluate(axe)
    for _ in range(2):
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == []
        assert len(found["passes"]) > 15
        page.locator("#language").click()


@pytest.mark.browser
def test_language_and_theme_are_switched_and_remembered(tmp_path, open_page):
    page = open_page(write_training_page(tmp_path, view(samples=[], state="finished")))
    assert page.locator(".facts .train dt").text_content() == "Training loss"
    page.locator("#language").click()
    page.locator("#theme").select_option("dark")
    reload(page)
    assert page.locator(".facts .train dt").text_content() == "训练损失"
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 20, 18)"


@pytest.mark.browser
def test_a_running_page_brings_news_and_a_finished_one_rests(tmp_path, open_page):
    path = write_training_page(tmp_path, view(samples=[]))
    page = open_page(path)
    page.clock.install()
    reload(page)
    page.evaluate("scrollTo(0, 120)")
    write_training_page(tmp_path, view(samples=[], step=100, state="finished"))
    page.clock.run_for(6000)
    page.wait_for_load_state()
    assert page.locator(".facts dd").nth(1).text_content() == "100 / 100"
    page.evaluate("window.same = 1")
    page.clock.run_for(60_000)
    assert page.evaluate("window.same") == 1


@pytest.mark.browser
def test_pictures_are_found_by_kind_and_by_text(prepared, open_page):
    page = open_page(prepared / "index.html")
    shown = "[...document.querySelectorAll('.tile:not([hidden]) .name bdi')].map((name) => name.textContent)"
    page.locator("[data-show=too_small]").click()
    assert page.evaluate(shown) == ["tiny.png"]
    assert page.locator("#found").text_content() == "1"
    page.locator("[data-show=dropped]").click()
    assert len(page.evaluate(shown)) == 9
    page.locator("#search").fill("RENAME it")
    assert page.evaluate(shown) == ["misnamed.png"]
    page.locator("#search").fill("nowhere")
    assert page.evaluate(shown) == [] and page.locator("#nothing").is_visible()


def _page(request, which: str) -> Path:
    path = request.getfixturevalue(which)
    return path if path.is_file() else path / "index.html"
