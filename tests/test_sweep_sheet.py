"""A sweep on the sheet: its takes in a table, looked at, compared and decided upon in a real browser."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from renderer.looking.tables import tables_of
from renderer.looking.viewing import view_page
from renderer.manifest import Manifest, TakeEntry
from renderer.sheet import write_sheet
from renderer.take import key_of
from tests.manifests import make_entry, make_manifest, make_scene, paint_all
from tests.pages import parse, select, words
from tests.stories import render_fake, write_story
from tests.sweeps import SWEEP, write_sweep
from tests.test_review_browser import Reviewer, review
from tests.test_sheet_browser import CONTRAST, OVERLAPS, set_zoom, until

__all__ = ["review"]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
STILL = {"reduced_motion": "reduce"}
"""Scrolling is over at once, so that what a test goes to is in view when it presses a key."""
CAPTIONS = "[...document.querySelectorAll('.sweep caption')].map(caption => caption.textContent)"
SIZES = """() => [...document.querySelectorAll(".sweep td img")].map((image) => {
  const box = image.getBoundingClientRect();
  return [Math.round(box.width), Math.round(box.height)];
})"""


def tried(seed: int, strength: float | None, step: int | None, size: tuple[int, int]) -> TakeEntry:
    """A take of a sweep of the LoRA `pencil`."""
    entry = make_entry(seed, "一个女孩", size=size, loras=("pencil",))
    used = {"sha256": f"{step or 0:064x}", "strength": 1.0 if strength is None else strength}
    record = entry.record | {"loras": [used]}
    return entry.model_copy(update={"record": record, "key": key_of(record), "strength": strength, "step": step})


def sweep_of(seeds=(1,), steps=(100, 200, 300), strengths=(0, 0.5, 1), size=(64, 64)) -> list[TakeEntry]:
    """Takes in the order in which a plan makes them."""
    return [tried(seed, strength, step, size) for seed, step, strength in itertools.product(seeds, steps, strengths)]


def told(folder: Path, *takes: TakeEntry, **fields: object) -> Manifest:
    """A story of a sweep and of a scene with three takes, all painted."""
    plain = make_scene("plain", *[make_entry(seed, "海边", size=(64, 64)) for seed in range(3)])
    return paint_all(make_manifest(make_scene("sofa", *takes, **fields), plain), folder)


def keys(manifest: Manifest) -> list[str]:
    return [take.key for take in manifest.scenes[0].takes]


@pytest.fixture
def story(tmp_path):
    """Two seeds of three strengths by three steps, of which one is picked."""
    takes = sweep_of(seeds=(1, 2))
    return told(tmp_path, *takes, pick=takes[4].key)


@pytest.mark.parametrize(
    ("takes", "tables"),
    [
        (sweep_of(seeds=(1, 2)), [("1", "strength", "step", ("0", "0.5", "1"), ["100", "200", "300"])] * 2),
        (sweep_of(seeds=(4, 5), steps=(None,)), [("", "strength", "seed", ("0", "0.5", "1"), ["4", "5"])]),
        (sweep_of(seeds=(4,), strengths=(None,)), [("", "step", "seed", ("100", "200", "300"), ["4"])]),
        (sweep_of(steps=(None,), strengths=(0.25,)), []),
    ],
)
def test_strengths_go_across_and_steps_down(tmp_path, takes, tables):
    (scene, plain) = view_page(told(tmp_path, *takes), tmp_path).scenes
    found = [
        (table.seed, table.across, table.down, table.columns, [row for row, _ in table.rows]) for table in scene.tables
    ]
    assert found == [(str(number + 1) if table[0] else "", *table[1:]) for number, table in enumerate(tables)]
    assert [take.key for table in scene.tables for _, row in table.rows for take in row] == (
        [take.key for take in takes] if tables else []
    ), "in the order of the story, on which the page's scripts rely"
    assert plain.tables == tables_of(plain.takes) == ()


def test_the_table_says_what_its_rows_and_columns_are(story, tmp_path):
    page = parse(write_sheet(story, tmp_path).read_text(encoding="utf-8"))
    sofa, plain = select(page, "article")
    assert not select(plain, "table") and not select(plain, ".name")
    first, second = select(sofa, "table")
    assert [words(caption) for caption in select(sofa, "caption")] == ["seed 1", "seed 2"]
    heads = [(head.get("scope"), words(head)) for head in select(first, "th")]
    assert heads == [
        *(("col", f"strength {strength}") for strength in ("0", "0.5", "1")),
        *(("row", f"step {step}") for step in (100, 200, 300)),
    ]
    figures = select(sofa, "figure.take")
    assert [figure.get("data-take") for figure in figures] == keys(story)
    assert [(figures[4].get(f"data-{name}")) for name in ("seed", "strength", "step")] == ["1", "0.5", "200"]
    assert words(select(figures[4], ".name")[0]) == "seed 1 · strength 0.5 · step 200"
    assert [figure.get("data-take") for figure in select(sofa, "figure.shown")] == [keys(story)[4]]
    assert not select(sofa, "figure.main") and select(plain, "figure.main")
    assert len(select(second, "td figure")) == 9


def test_failures_of_a_sweep_are_named(tmp_path):
    takes = sweep_of(steps=(None,))
    manifest = make_manifest(make_scene("sofa", *takes), failures={take.key: "too large" for take in takes[:2]})
    page = parse(write_sheet(manifest, tmp_path).read_text(encoding="utf-8"))
    assert words(select(page, ".reason")[0]) == "Failed (seeds 1 ×0, 1 ×0.5) too large"


def test_the_sheet_says_what_changed_in_a_sweep(tmp_path):
    render_fake(write_sweep(tmp_path))
    result, _ = render_fake(write_story(tmp_path, SWEEP.replace("[0, 0.5, 1]", "[0.25, 0.5, 1, 2]")))
    page = parse(result.sheet.read_text(encoding="utf-8"))
    assert [words(reason) for reason in select(page, ".changed bdi")] == [
        "sweep edited",
        "LoRA pencil: strength 0 → 0.25",
    ]


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 768, 1400])
def test_nothing_overflows_and_no_picture_is_cropped(tmp_path, open_page, width):
    takes = [*sweep_of(seeds=(1,), size=(96, 64))]
    wide = make_scene(
        "wide", *sweep_of(seeds=(7, 8), steps=(None,), strengths=(0, 0.1, 0.2, 0.3, 0.4, 1), size=(64, 96))
    )
    manifest = told(tmp_path, *takes)
    manifest = paint_all(manifest.model_copy(update={"scenes": (*manifest.scenes, wide)}), tmp_path)
    page = open_page(write_sheet(manifest, tmp_path), width)
    page.locator("details").evaluate_all("all => all.forEach(details => details.open = true)")
    for percent in (50, 200, 100):
        set_zoom(page, percent)
        page.evaluate(
            "for (const card of document.querySelectorAll('article')) card.style.contentVisibility = 'visible'"
        )
        assert page.evaluate("document.documentElement.scrollWidth") == width
        sizes = page.evaluate(SIZES)
        assert len(sizes) == 21
        for number, (across, down) in enumerate(sizes):
            assert across / down == pytest.approx(1.5 if number < 9 else 1 / 1.5, abs=0.05)
            assert across >= 40
    assert not [words for words in page.evaluate(OVERLAPS) if width >= 768 and "leaves" not in words]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_labels_stand_out_in_both_themes(story, tmp_path, open_page, scheme):
    page = open_page(write_sheet(story, tmp_path), color_scheme=scheme)
    assert [text for ratio, text in page.evaluate(CONTRAST) if ratio < 4.5] == []


@pytest.mark.browser
def test_three_strengths_stand_side_by_side_on_a_phone(story, tmp_path, review):
    page = review(write_sheet(story, tmp_path), **PHONE).page
    assert page.locator(".sweep").first.evaluate("sweep => sweep.scrollWidth <= sweep.clientWidth")
    assert page.locator(".sweep .judge .pick").first.evaluate("button => button.getBoundingClientRect().width") >= 36
    assert not page.locator(".sweep .judge .star").first.is_visible()


@pytest.mark.browser
def test_arrows_move_in_the_table_and_on_to_the_next_scene(story, tmp_path, review):
    reviewer: Reviewer = review(write_sheet(story, tmp_path), **STILL)
    sofa, plain = keys(story), [take.key for take in story.scenes[1].takes]
    reviewer.go_to(sofa[1])
    reviewer.press("ArrowDown")
    assert reviewer.cursor() == sofa[4], "the same strength, the next step"
    reviewer.press("ArrowRight", "ArrowDown", "ArrowDown")
    assert reviewer.cursor() == sofa[11], "the next seed's table"
    reviewer.press("ArrowDown", "ArrowDown", "ArrowDown")
    assert reviewer.cursor() == plain[0]
    reviewer.press("ArrowUp")
    assert reviewer.cursor() == sofa[4], "the one that stands for its scene"


WIDE = [number / 10 for number in range(20)]
UNCOVERED = """(() => {
  const box = (selector) => document.querySelector(selector).getBoundingClientRect();
  return box(".take.cursor").left >= box("th[scope=row]").right - 1;
})()"""


@pytest.mark.browser
def test_the_take_that_one_comes_back_to_is_not_behind_its_rows_heading(tmp_path, review):
    takes = sweep_of(strengths=WIDE)
    reviewer: Reviewer = review(write_sheet(told(tmp_path, *takes), tmp_path), **STILL)
    reviewer.go_to(takes[19].key).press(*["ArrowLeft"] * 17)
    assert reviewer.cursor() == takes[2].key
    until(reviewer.page, UNCOVERED)


@pytest.mark.browser
def test_nothing_is_decided_about_a_take_that_is_scrolled_out_of_its_table(tmp_path, review):
    takes = sweep_of(strengths=WIDE)
    reviewer: Reviewer = review(write_sheet(told(tmp_path, *takes), tmp_path), **STILL)
    table = reviewer.page.locator(".sweep").first
    reviewer.go_to(takes[0].key)
    table.evaluate("table => { table.scrollLeft = table.scrollWidth; }")
    reviewer.press("p")
    assert reviewer.take(takes[0].key, "flag") == "none"
    until(reviewer.page, UNCOVERED)
    reviewer.press("p")
    assert reviewer.take(takes[0].key, "flag") == "pick"


@pytest.mark.browser
def test_comparing_shows_the_table(story, tmp_path, review):
    reviewer: Reviewer = review(write_sheet(story, tmp_path), **STILL)
    page = reviewer.page
    reviewer.go_to(keys(story)[13]).press("c")
    assert reviewer.front() == "compare"
    cells = page.locator(".cell").evaluate_all("cells => cells.map(cell => cell.dataset.key)")
    assert cells == keys(story)[9:], "all of that seed"
    assert page.locator(".cells").evaluate("cells => getComputedStyle(cells).getPropertyValue('--columns')") == "3"
    captions = page.locator(".cell figcaption bdi").all_inner_texts()
    assert captions[4] == "01 sofa · 2 ×0.5 @200"
    reviewer.press("ArrowDown", "p", "Escape")
    assert reviewer.cursor() == keys(story)[16] and reviewer.take(keys(story)[16], "flag") == "pick"


@pytest.mark.browser
@pytest.mark.parametrize(
    ("strengths", "here", "expected"), [(4, 9, range(4, 12)), (5, 9, range(5, 10)), (12, 25, range(21, 30))]
)
def test_of_a_larger_table_whole_rows_around_the_take_are_compared(tmp_path, review, strengths, here, expected):
    takes = sweep_of(strengths=[number / 10 for number in range(strengths)], steps=(100, 200, 300, 400))
    reviewer: Reviewer = review(write_sheet(told(tmp_path, *takes), tmp_path), **STILL)
    reviewer.go_to(takes[here].key).press("c")
    cells = reviewer.page.locator(".cell").evaluate_all("cells => cells.map(cell => cell.dataset.key)")
    assert cells == [takes[number].key for number in expected] and takes[here].key in cells


@pytest.mark.browser
def test_a_decision_carries_strength_and_step(story, tmp_path, review):
    reviewer: Reviewer = review(write_sheet(story, tmp_path), **STILL)
    sofa, plain = keys(story), [take.key for take in story.scenes[1].takes]
    reviewer.go_to(sofa[0]).press("p")
    assert reviewer.take(sofa[4], "flag") == "none", "one pick in a scene"
    reviewer.go_to(plain[1]).press("x")
    stored = reviewer.stored()
    assert stored[sofa[0]] | {"at": ""} == {
        "scene": "sofa", "seed": 1, "strength": 0, "step": 100, "flag": "pick", "stars": 0, "note": "", "at": "",
    }  # fmt: skip
    assert stored[sofa[4]]["flag"] == "none"
    assert set(stored[plain[1]]) == {"scene", "seed", "flag", "stars", "note", "at"}
    reviewer.press("z", "z")
    assert reviewer.take(sofa[4], "flag") == "pick"


@pytest.mark.browser
def test_only_the_take_that_was_decided_upon_wants_to_be_looked_at_again(story, tmp_path, review):
    before = sweep_of(seeds=(1, 2), size=(32, 32))
    decision = {"scene": "sofa", "seed": 1, "strength": 0.5, "step": 200, "flag": "pick", "stars": 0, "note": ""}
    decisions = {before[4].key: decision | {"at": "2026-05-04T03:02:01Z"}}
    about = {"format": 1, "kind": "storyboard-review", "story": "x", "decisions": decisions}
    (tmp_path / "review.json").write_text(json.dumps(about), encoding="utf-8")
    reviewer: Reviewer = review(write_sheet(story, tmp_path), **STILL)
    assert reviewer.page.locator("[data-repainted]").evaluate_all("all => all.map(take => take.dataset.take)") == [
        keys(story)[4]
    ]


@pytest.mark.browser
def test_filters_leave_takes_in_their_places_and_hide_empty_rows(story, tmp_path, review):
    page = review(write_sheet(story, tmp_path)).page
    page.locator(".chips [data-show=picked]").click()
    assert page.locator(".sweep figure.take:visible").count() == 1
    assert page.locator(".sweep tbody tr:visible").count() == 1
    assert page.locator("article.swept:not([hidden])").count() == 1
    page.locator("#search").fill("@300")
    page.locator(".chips [data-show=all]").click()
    assert page.locator(".sweep figure.take:visible").count() == 6


@pytest.mark.browser
def test_the_contact_sheet_names_each_take(story, tmp_path, open_page):
    page = open_page(write_sheet(story, tmp_path))
    page.locator(".views [data-view=contact]").click()
    assert page.locator(".sweep th:visible, .sweep caption:visible").count() == 0
    assert page.locator("figure.take .name").nth(5).inner_text() == "seed 1 · strength 1 · step 200"
    tops = page.locator("article.swept figure.take").evaluate_all(
        "all => all.map(each => each.getBoundingClientRect().top)"
    )
    assert len({round(top) for top in tops[:5]}) == 1, "one beside the other"


@pytest.mark.browser
def test_the_table_speaks_the_pages_language(story, tmp_path, open_page):
    page = open_page(write_sheet(story, tmp_path))
    assert page.evaluate(CAPTIONS) == ["seed 1", "seed 2"]
    page.locator("#language").click()
    assert page.evaluate(CAPTIONS) == ["种子 1", "种子 2"]
    assert page.locator(".sweep th").nth(1).inner_text().split() == ["强度", "0.5"]
    page.locator("article.swept .more > summary").click()
    until(page, "document.querySelector('article.swept .records strong')")
    assert page.locator("article.swept .records strong").nth(1).inner_text() == "种子 1 · 强度 0.5 · 训练步 100"


@pytest.mark.browser
def test_on_paper_the_one_that_stands_for_the_scene_is_printed_with_its_name(story, tmp_path, open_page):
    page = open_page(write_sheet(story, tmp_path))
    page.emulate_media(media="print")
    seen = page.locator("article.swept figure.take:visible").evaluate_all("all => all.map(take => take.dataset.take)")
    assert seen == [keys(story)[4]]
    assert page.locator("article.swept figure.shown .name").inner_text() == "seed 1 · strength 0.5 · step 200"
    assert page.locator(".sweep th:visible, .sweep caption:visible").count() == 0


@pytest.mark.browser
def test_embeddings_and_hypernetworks_are_shown_with_where_they_come_from(tmp_path, open_page):
    entry = make_entry(
        0,
        "<mei>",
        size=(64, 64),
        embeddings=[{"name": "mei", "sha256": "ab" * 32}],
        hypernetworks=[{"sha256": "cd" * 32, "strength": 0.5}],
    ).model_copy(update={"hypernetworks": ("glow",)})
    lineage = {"ab" * 32: {"recipe": "mei.yaml", "step": "500"}}
    manifest = paint_all(make_manifest(make_scene("sofa", entry), lineage=lineage), tmp_path)
    page = open_page(write_sheet(manifest, tmp_path))
    page.locator(".more > summary").click()
    until(page, "document.querySelectorAll('.settings .loras').length === 2")
    embeddings, hypernetworks = page.locator(".settings .loras").all_inner_texts()
    assert embeddings.split("\n") == ["Embeddings", "mei", "Recipe mei.yaml", "Step 500", "ab" * 6]
    assert hypernetworks.split("\n")[:2] == ["Hypernetworks", "glow × 0.5"]
