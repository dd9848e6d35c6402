"""Reviewing on the sheet, in a real browser: every key, what is kept, the loupe, comparing, and what stays harmless."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest

from renderer.manifest import Manifest
from renderer.reviewing.decisions import read_review
from renderer.sheet import write_sheet
from tests.manifests import draft_only, make_entry, make_manifest, make_scene, paint_all
from tests.pages import reload
from tests.stories import render_fake, write_story
from tests.test_review_server import serving

pytestmark = pytest.mark.browser
HOSTILE = "</textarea></script><script>hacked=1</script><img src=x onerror=hacked=1>\"' \u202eevil"
PATIENCE = 30
PAINTED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 20))))"


@pytest.fixture
def story(tmp_path):
    """Three scenes: a sofa with three takes of which the file picks the second, a park with two, a sea with one."""
    sofa, park, sea = takes_of("sofa", 3), takes_of("park", 2), takes_of("sea", 1)
    return paint_all(
        make_manifest(
            make_scene("sofa", *sofa, pick=sofa[1].key, dialogue="Oh?"),
            make_scene("park", *park),
            make_scene("sea", *sea),
        ),
        tmp_path,
    )


def takes_of(prompt, count, size=(96, 64)):
    return [make_entry(seed, prompt, size=size) for seed in range(count)]


def keys_of(manifest: Manifest, scene: int = 0) -> list[str]:
    return [take.key for take in manifest.scenes[scene].takes]


class Reviewer:
    """A page, and what a test wants to know of it."""

    def __init__(self, page):
        self.page = page

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
        return self

    def flags(self):
        return self.page.evaluate("[...document.querySelectorAll('figure.take')].map(take => take.dataset.flag)")

    def take(self, key, name):
        return self.page.evaluate(f"document.querySelector('[data-take=\"{key}\"]').dataset.{name} ?? null")

    def cursor(self):
        return self.page.evaluate("document.querySelector('.cursor')?.dataset.take ?? null")

    def go_to(self, key):
        """Puts the cursor on a take; nothing is decided of one that is not in sight yet."""
        take = self.page.locator(f'[data-take="{key}"]')
        take.scroll_into_view_if_needed()
        take.focus()
        self.page.evaluate(PAINTED)
        return self

    def stored(self):
        entries = self.page.evaluate("Object.entries(localStorage)")
        return {name[-64:]: json.loads(value) for name, value in entries if ":page:" not in name}

    def front(self):
        return self.page.evaluate("[...document.querySelectorAll('dialog[open]')].at(-1)?.className ?? null")

    def loupe(self):
        return self.page.locator(".loupe .judge").get_attribute("data-key")

    def until(self, expression):
        playwright = pytest.importorskip("playwright.sync_api")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with suppress(playwright.Error):  # the page may be reloading
                if self.page.evaluate(expression):
                    return
            time.sleep(0.05)
        pytest.fail(f"never came true: {expression}")


@pytest.fixture
def review(browser):
    """Opens a sheet for reviewing; fails at the end if a page had anything to complain of."""
    contexts, complaints = [], []

    def opened(path, context=None, **options):
        if context is None:
            context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})
            context.set_default_timeout(PATIENCE * 1000)
            contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        return Reviewer(page)

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def at_start(story, tmp_path, review):
    """A reviewer whose cursor is on the first take, and who goes on by themselves."""
    reviewer = review(write_sheet(story, tmp_path))
    reviewer.page.locator("#advance").click()
    reviewer.press("ArrowRight")
    assert reviewer.cursor() == keys_of(story)[0]
    return reviewer


def test_picking_unpicks_the_former_pick_and_undo_takes_both_back(at_start, story):
    first, second, third = keys_of(story)
    assert at_start.flags()[:3] == ["none", "pick", "none"], "the file's pick"
    at_start.press("p")
    assert at_start.flags()[:3] == ["pick", "none", "none"]
    assert at_start.page.locator(f'[data-take="{first}"] .marks .pick').text_content() == "Pick"
    assert at_start.page.evaluate("document.querySelector('#scene-01 .main').dataset.take") == first, (
        "the pick is large"
    )
    at_start.press("ArrowRight", "ArrowRight", "p")
    assert at_start.flags()[:3] == ["none", "none", "pick"]
    at_start.press("z")
    assert at_start.flags()[:3] == ["pick", "none", "none"]
    at_start.press("Control+z")
    assert at_start.flags()[:3] == ["none", "pick", "none"]
    assert at_start.stored() == {}, "nothing is left of what was taken back"
    assert at_start.take(second, "reviewed") is None and at_start.take(third, "reviewed") is None
    at_start.press("z")
    assert at_start.flags()[:3] == ["none", "pick", "none"], "nothing more to undo"


def test_each_decision_has_its_key(at_start, story):
    first = keys_of(story)[0]
    at_start.press("x")
    assert at_start.take(first, "flag") == "reject"
    for stars in "12345":
        at_start.press(stars)
        assert at_start.take(first, "stars") == stars
    assert at_start.page.locator(f'[data-take="{first}"] .marks .stars').text_content() == "★★★★★"
    at_start.press("u")
    assert (at_start.take(first, "flag"), at_start.take(first, "stars")) == ("none", "5")
    at_start.press("0")
    assert at_start.take(first, "stars") == "0"
    assert at_start.take(first, "reviewed") == "", "neither is a decision too"
    at_start.press("n")
    at_start.page.keyboard.type("too px dark 5")
    at_start.press("Control+Enter")
    assert at_start.front() is None
    assert at_start.page.locator(f'[data-take="{first}"] .marks .said').text_content() == "too px dark 5"
    entry = at_start.stored()[first]
    assert entry | {"at": ""} == {
        "scene": "sofa", "seed": 0, "flag": "none", "stars": 0, "note": "too px dark 5", "at": "",
    }  # fmt: skip
    at_start.press("P")
    assert at_start.take(first, "flag") == "pick", "capitals too"


def test_arrows_move_in_reading_order_and_from_scene_to_scene(at_start, story):
    sofa, park, sea = (keys_of(story, scene) for scene in range(3))
    for expected in [sofa[1], sofa[2], park[0], park[1], sea[0], sea[0]]:
        at_start.press("ArrowRight")
        assert at_start.cursor() == expected
    at_start.press("ArrowLeft", "ArrowUp", "ArrowUp")
    assert at_start.cursor() == sofa[1], "the one shown large"
    at_start.press("ArrowDown")
    assert at_start.cursor() == park[0]
    box = at_start.page.evaluate("document.querySelector('.cursor').getBoundingClientRect().toJSON()")
    assert box["top"] >= 0 and box["bottom"] <= 900 + 1
    assert at_start.page.evaluate("document.activeElement.dataset.take") == park[0]
    assert "park · 0" in at_start.page.locator(".cursor").get_attribute("aria-label")


def test_on_the_contact_sheet_arrows_move_by_rows(tmp_path, review):
    entries = takes_of("many", 40, (64, 64))
    manifest = paint_all(make_manifest(make_scene("many", *entries)), tmp_path)
    reviewer = review(write_sheet(manifest, tmp_path))
    reviewer.page.locator("[data-view=contact]").last.click()
    reviewer.press("ArrowRight", "ArrowRight", "ArrowDown")
    box = "document.querySelector('.cursor').getBoundingClientRect().left"
    left = reviewer.page.evaluate(box)
    number = [entry.key for entry in entries].index(reviewer.cursor())
    assert number > 3
    reviewer.press("ArrowDown", "ArrowUp", "ArrowUp")
    assert reviewer.cursor() == entries[1].key and reviewer.page.evaluate(box) == left


def test_after_a_pick_or_reject_it_goes_on_to_the_next_unreviewed(story, tmp_path, review):
    reviewer = review(write_sheet(story, tmp_path))
    sofa, park = keys_of(story), keys_of(story, 1)
    reviewer.press("ArrowRight", "x")
    assert reviewer.cursor() == sofa[1]
    reviewer.press("3")
    assert reviewer.cursor() == sofa[1], "stars stay"
    reviewer.press("ArrowLeft", "x")
    assert reviewer.cursor() == sofa[2], "what is reviewed is passed over"
    reviewer.press("p", "x", "x", "p")
    assert reviewer.page.evaluate("document.querySelectorAll('[data-reviewed]').length") == 6
    reviewer.page.locator("#advance").click()
    reviewer.page.keyboard.press("Escape")
    reviewer.page.locator(f'[data-take="{park[0]}"] figcaption').click()
    reviewer.press("u", "x")
    assert reviewer.cursor() == park[0], "switched off"
    reload(reviewer.page)
    assert reviewer.page.locator("#advance").get_attribute("aria-pressed") == "false", "and remembered"


def test_nothing_is_decided_about_a_take_that_is_out_of_sight(story, tmp_path, review):
    reviewer = review(write_sheet(story, tmp_path))
    reviewer.press("x")
    assert reviewer.stored() == {} and reviewer.cursor() == keys_of(story)[0], "the first key shows the cursor"
    reviewer.page.set_viewport_size({"width": 1400, "height": 500})
    hidden = "document.querySelector('.toolbar').getBoundingClientRect().bottom"
    bottom = "document.querySelector('.cursor').getBoundingClientRect().bottom"
    # For good: cards that were left for later are laid out meanwhile, and move it.
    scroll = f"scrollBy({{ top: {bottom} - {hidden} + 2, behavior: 'instant' }})"
    reviewer.until(f"({scroll}, new Promise((done) => setTimeout(() => done({bottom} < {hidden}), 200)))")
    assert reviewer.page.evaluate(f"{bottom} > 0"), "under the toolbar, which stays in view"
    reviewer.press("x")
    assert reviewer.stored() == {}
    reviewer.press("x")
    assert list(reviewer.stored()) == [keys_of(story)[0]]


def test_typing_and_other_modifiers_trigger_nothing(at_start):
    at_start.press("Alt+x", "Meta+u", "Alt+5")
    at_start.press("/")
    assert at_start.page.evaluate("document.activeElement.id") == "search"
    at_start.page.keyboard.type("px5uz?n")
    at_start.press("Control+z")
    at_start.page.locator("#search").fill("")
    at_start.press("Escape")
    at_start.page.locator("#zoom").focus()
    at_start.press("ArrowRight")
    at_start.page.locator("#sort").focus()
    at_start.press("x")
    assert at_start.stored() == {} and at_start.front() is None


def test_a_filter_that_takes_the_take_away_leaves_the_cursor_on_the_next(at_start, story):
    sofa = keys_of(story)
    at_start.page.locator("[data-show=unreviewed]").click()
    at_start.press("ArrowRight", "ArrowLeft", "2")
    assert at_start.cursor() == sofa[1]
    at_start.press("x")
    assert at_start.cursor() == sofa[2]
    at_start.press("z")
    assert at_start.cursor() == sofa[1]


def test_reloading_and_rendering_again_keep_what_was_decided(at_start, story, tmp_path):
    at_start.press("p", "4")
    reload(at_start.page)
    first = keys_of(story)[0]
    assert (at_start.take(first, "flag"), at_start.take(first, "stars")) == ("pick", "4")
    assert at_start.page.locator("#kept").text_content().startswith("2 ")
    assert at_start.cursor() == first, "the cursor stays where it was"
    at_start.press("z")
    assert at_start.take(first, "stars") == "0", "undo reaches back over a reload"

    new = make_entry(0, "sofa, at night", size=(96, 64))
    sofa = story.scenes[0].model_copy(update={"takes": (new, *story.scenes[0].takes[1:])})
    write_sheet(paint_all(story.model_copy(update={"scenes": (sofa, *story.scenes[1:])}), tmp_path), tmp_path)
    reload(at_start.page)
    assert at_start.take(new.key, "reviewed") is None and at_start.take(new.key, "repainted") == ""
    assert at_start.page.locator(f'[data-take="{new.key}"] .marks .anew').count() == 1
    assert first in at_start.stored(), "what was decided about the old picture is kept"


def test_the_review_on_disk_and_the_one_in_the_browser_meet_by_time(at_start, story, tmp_path):
    first, second, _ = keys_of(story)
    at_start.press("p")
    entry = {"scene": "sofa", "seed": 0, "flag": "reject", "stars": 1, "note": "", "at": "2001-01-01T00:00:00Z"}
    later = {"scene": "sofa", "seed": 1, "flag": "reject", "stars": 2, "note": "", "at": "2999-01-01T00:00:00Z"}
    review = {"format": 1, "kind": "storyboard-review", "story": tmp_path.name}
    write_review(tmp_path, review | {"decisions": {first: entry, second: later, "bad": 5}})
    write_sheet(story, tmp_path)
    reload(at_start.page)
    assert at_start.flags()[:2] == ["pick", "reject"]
    at_start.go_to(second).press("u")
    assert at_start.take(second, "flag") == "none", "a clock ahead of this one holds nothing back"
    reload(at_start.page)
    assert at_start.take(second, "flag") == "none"


def write_review(folder, review):
    (folder / "review.json").write_text(json.dumps(review), encoding="utf-8")


def test_two_tabs_are_of_one_mind(at_start, review, tmp_path, story):
    first, second, third = keys_of(story)
    other = review(tmp_path / "index.html", at_start.page.context)
    at_start.press("p")
    other.until(f"document.querySelector('[data-take=\"{first}\"]').dataset.flag === 'pick'")
    assert other.flags()[:3] == ["pick", "none", "none"]
    other.press("ArrowRight", "ArrowRight", "ArrowRight", "p")
    at_start.until(f"document.querySelector('[data-take=\"{third}\"]').dataset.flag === 'pick'")
    assert at_start.flags()[:3] == ["none", "none", "pick"]
    other.press("z")
    at_start.until(f"document.querySelector('[data-take=\"{first}\"]').dataset.flag === 'pick'")
    assert at_start.take(second, "flag") == "none"


def test_a_pick_stays_with_its_scene_when_two_scenes_change_names(at_start, story, tmp_path):
    sofa, park = keys_of(story), keys_of(story, 1)
    at_start.press("p")
    first, second, third = story.scenes
    renamed = (first.model_copy(update={"id": "park"}), second.model_copy(update={"id": "sofa"}), third)
    write_sheet(story.model_copy(update={"scenes": renamed}), tmp_path)
    reload(at_start.page)
    assert at_start.flags() == ["pick", "none", "none", "none", "none", "none"], "the file's pick has given way"
    while at_start.cursor() != park[1]:
        at_start.press("ArrowRight")
    at_start.press("p")
    assert [at_start.take(sofa[0], "flag"), at_start.take(park[1], "flag")] == ["pick", "pick"]
    stored = at_start.stored()
    assert (stored[sofa[0]]["scene"], stored[park[1]]["scene"]) == ("park", "sofa"), (
        "no disk takes them for one scene's"
    )
    reload(at_start.page)
    assert [at_start.take(sofa[0], "flag"), at_start.take(park[1], "flag")] == ["pick", "pick"]


@pytest.mark.parametrize("where", ["loupe", "dialog"])
def test_a_note_that_is_only_looked_at_leaves_another_tabs_note_alone(at_start, review, tmp_path, story, where):
    key = keys_of(story)[0]
    other = review(tmp_path / "index.html", at_start.page.context)
    at_start.press(*(["Enter", "n"] if where == "loupe" else ["n"]))
    other.press("ArrowRight", "n")
    assert other.cursor() == key
    other.page.keyboard.type("from the other tab")
    other.press("Control+Enter")
    at_start.until(f"document.querySelector('[data-take=\"{key}\"] .said')?.textContent === 'from the other tab'")
    at_start.press("Escape", "Escape")
    assert at_start.stored()[key]["note"] == "from the other tab"


def test_keys_decide_while_the_slider_has_the_focus(at_start):
    at_start.page.locator("#zoom").focus()
    at_start.press("x")
    assert at_start.flags()[0] == "reject"
    at_start.page.locator("#zoom").focus()
    at_start.press("ArrowRight")
    assert at_start.page.locator("#zoom").input_value() == "110", "arrows are the slider's"


def test_the_search_key_unfolds_the_phones_tools_and_their_button_knows(story, tmp_path, review):
    reviewer = review(write_sheet(story, tmp_path), viewport={"width": 390, "height": 800})
    reviewer.press("/")
    fold = reviewer.page.locator(".fold")
    assert fold.get_attribute("aria-expanded") == "true"
    fold.click()
    assert not reviewer.page.locator("#search").is_visible()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [1000, 1200, 1400])
def test_the_toolbar_takes_two_rows(story, tmp_path, review, language, width):
    story = story.model_copy(update={"language": language})
    reviewer = review(write_sheet(story, tmp_path), viewport={"width": width, "height": 800})
    reviewer.press("ArrowRight", "p", "m")
    assert reviewer.page.locator(".toolbar").bounding_box()["height"] < 96


def test_the_review_leaves_and_comes_back(at_start, review, tmp_path, story):
    at_start.press("p", "5", "n")
    at_start.page.keyboard.type("月亮 " + HOSTILE)
    at_start.press("Control+Enter")
    assert at_start.page.locator("#kept").get_attribute("data-state") == "waiting"
    with at_start.page.expect_download() as coming:
        at_start.page.locator("#download").click()
    assert coming.value.suggested_filename == "review.json"
    saved = tmp_path / "saved.json"
    coming.value.save_as(saved)
    assert at_start.page.locator("#kept").get_attribute("data-state") == "saved"
    found = read_review(saved)
    assert found.story == tmp_path.name and found.decisions[keys_of(story)[0]].note == "月亮 " + HOSTILE
    other = review(tmp_path / "index.html", viewport={"width": 1200, "height": 800})
    other.page.locator("#review-file").set_input_files(saved)
    other.until("document.querySelector('[data-flag=pick]')?.dataset.stars === '5'")
    assert {key: entry | {"at": ""} for key, entry in other.stored().items()} == {
        key: entry.model_dump() | {"at": ""} for key, entry in found.decisions.items()
    }
    other.page.locator("#undo").click()
    assert other.flags()[:3] == ["none", "pick", "none"], "an import is one step"


@pytest.mark.parametrize(
    "content",
    [
        "nonsense",
        "[]",
        '{"kind": "storyboard-review", "format": 1, "decisions": 5}',
        '{"kind": "storyboard-review", "format": 2, "decisions": {}}',
        '{"kind": "storyboard-review", "format": 1, "story": "<b>other", "decisions": {}}',
        '{"kind": "storyboard-review", "format": 1, "decisions": {"ab": {}}}',
    ],
)
def test_what_is_no_review_of_this_story_is_refused_with_a_reason(at_start, tmp_path, content):
    (tmp_path / "in.json").write_text(content, encoding="utf-8")
    at_start.page.locator("#review-file").set_input_files(tmp_path / "in.json")
    at_start.page.locator("dialog.problem p").wait_for()
    at_start.press("Escape")
    assert at_start.stored() == {} and at_start.front() is None


def test_hostile_notes_stay_text(at_start, story):
    at_start.press("n")
    at_start.page.keyboard.insert_text(HOSTILE)
    at_start.press("Control+Enter", "Enter")
    assert at_start.page.locator(".loupe textarea").input_value() == HOSTILE
    at_start.press("Escape")
    reload(at_start.page)
    assert at_start.page.locator(".marks .said").first.text_content() == HOSTILE
    assert at_start.page.evaluate("window.hacked") is None


def test_a_note_is_kept_unless_cancelled(at_start):
    at_start.press("n")
    at_start.page.keyboard.type("kept")
    at_start.press("Escape")
    assert at_start.page.locator(".marks .said").text_content() == "kept"
    at_start.press("n")
    at_start.page.keyboard.type(" not")
    at_start.page.locator("dialog.noting footer button").first.click()
    assert at_start.page.locator(".marks .said").text_content() == "kept"
    at_start.press("z")
    assert at_start.page.locator(".marks .said").count() == 0


def test_the_language_changes_live(at_start, story):
    at_start.press("p", "3")
    at_start.page.locator("#language").click()
    assert at_start.page.locator(".marks .pick").first.text_content() == "已选"
    assert at_start.page.locator(".marks .stars").first.get_attribute("aria-label") == "三星"
    assert "仅在此浏览器中" in at_start.page.locator("#kept").text_content()
    at_start.press("?")
    assert at_start.page.locator(".help").text_content().count("放大镜") >= 3
    at_start.press("Escape", "ArrowRight", "Enter")
    assert at_start.page.locator(".loupe .pick[data-do]").get_attribute("aria-label") == "选定（P）"


def test_help_names_every_key_and_gives_the_focus_back(at_start, story):
    at_start.press("?")
    caps = set(at_start.page.locator(".help kbd").all_text_contents())
    assert {*"PXU05NZMCB/?[]", "←", "→", "↑", "↓", "⏎", "␣", "Esc"} <= caps
    at_start.press("p", "Escape")
    assert at_start.stored() == {}
    assert at_start.page.evaluate("document.activeElement.dataset.take") == keys_of(story)[0]


def test_the_loupe_shows_each_take_in_full_and_decides(at_start, story):
    sofa, park, _ = (keys_of(story, scene) for scene in range(3))
    at_start.press("Enter")
    assert at_start.front() == "loupe" and at_start.loupe() == sofa[0]
    at_start.until("document.querySelector('.loupe .plate').naturalWidth === 96")
    assert at_start.page.locator(".tile").count() == 6
    assert "Oh?" in at_start.page.locator(".loupe .side").text_content()
    at_start.press("ArrowRight", "x", "4")
    assert (at_start.take(sofa[1], "flag"), at_start.take(sofa[1], "stars")) == ("reject", "4")
    at_start.press("ArrowDown")
    assert at_start.loupe() == park[0]
    at_start.press("ArrowUp", "z", "z")
    assert at_start.take(sofa[1], "flag") == "pick" and at_start.loupe() == sofa[1]
    at_start.press("n")
    at_start.page.keyboard.type("px")
    at_start.press("Escape")
    assert at_start.front() == "loupe" and at_start.stored()[sofa[1]]["note"] == "px"
    at_start.page.locator(".tile").last.click()
    at_start.press("Escape")
    assert at_start.front() is None and at_start.cursor() == keys_of(story, 2)[0]
    assert at_start.page.evaluate("document.activeElement.dataset.take") == keys_of(story, 2)[0]


def test_a_draft_is_marked_whatever_is_decided_about_it(story, tmp_path, review):
    reviewer = review(write_sheet(draft_only(story, tmp_path, 0, 0), tmp_path))
    (key, *_) = keys_of(story)
    reviewer.go_to(key).press("p")
    figure = reviewer.page.locator(f'[data-take="{key}"]').first
    assert figure.locator(".marks").inner_text().split("\n") == ["Pick", "Draft"]
    assert reviewer.stored()[key]["flag"] == "pick"
    figure.locator("a.frame").click()
    assert reviewer.page.locator(".loupe .marks .draft").inner_text() == "Draft"
    assert "12" in reviewer.page.locator(".loupe .settings").inner_text()
    reviewer.press("c")
    assert reviewer.page.locator(".compare .cell .draft").count() == 1


def test_the_loupe_goes_on_after_a_decision_and_opens_by_click_and_space(story, tmp_path, review):
    reviewer = review(write_sheet(story, tmp_path))
    reviewer.page.locator("a.frame").nth(2).click()
    sofa, park = keys_of(story), keys_of(story, 1)
    assert reviewer.loupe() == sofa[2]
    reviewer.press("p")
    assert reviewer.loupe() == park[0]
    reviewer.press("Escape", " ")
    assert reviewer.loupe() == park[0]
    reviewer.page.locator(".loupe .star").nth(3).click()
    assert reviewer.take(park[0], "stars") == "4"
    reviewer.page.locator(".loupe .star").nth(3).click()
    assert reviewer.take(park[0], "stars") == "0", "pressing it again takes it back"


def test_the_loupe_zooms_and_pans_by_keys_wheel_and_mouse(at_start):
    at_start.press("Enter")
    transform = "document.querySelector('.plate').style.transform"
    at_start.until(f"{transform}.endsWith('scale(1)')")
    at_start.press("]", "]")
    assert at_start.page.evaluate(transform).endswith("scale(1.5625)")
    at_start.press("Shift+ArrowRight")
    assert "translate(-80px" in at_start.page.evaluate(transform)
    box = at_start.page.locator(".stage").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    at_start.page.mouse.move(*middle)
    at_start.page.mouse.down()
    at_start.page.mouse.move(middle[0] + 50, middle[1], steps=3)
    at_start.page.mouse.up()
    assert "translate(-30px" in at_start.page.evaluate(transform)
    at_start.page.mouse.wheel(0, -200)
    at_start.until(f"Number({transform}.match(/scale\\((.*)\\)/)[1]) > 2.2")
    at_start.press("f")
    assert at_start.page.evaluate(transform).endswith("scale(1)")
    at_start.page.mouse.dblclick(*middle)
    assert at_start.page.locator(".percent").text_content() == "100 %"


def test_comparing_the_takes_of_a_scene_under_one_lens(at_start, story):
    sofa = keys_of(story)
    at_start.press("c")
    assert at_start.front() == "compare" and at_start.page.locator(".cell").count() == 3
    at_start.press("]")
    scales = "[...document.querySelectorAll('.cell .plate')].map(plate => plate.style.transform.match(/scale.*/)[0])"
    assert at_start.page.evaluate(scales) == ["scale(1.25)"] * 3
    at_start.press("Shift+ArrowDown")
    moves = "new Set([...document.querySelectorAll('.plate')].map(plate => plate.style.transform)).size"
    assert at_start.page.evaluate(moves) == 1
    at_start.press("ArrowRight", "ArrowRight", "p")
    assert at_start.flags()[:3] == ["none", "none", "pick"]
    assert at_start.page.locator(".cell.current").get_attribute("data-key") == sofa[2]
    at_start.press("x", "3", "Escape")
    assert at_start.front() is None and at_start.cursor() == sofa[2]
    assert (at_start.take(sofa[2], "flag"), at_start.take(sofa[2], "stars")) == ("reject", "3")


def test_comparing_what_was_marked(at_start, story):
    sofa, park, sea = (keys_of(story, scene) for scene in range(3))
    at_start.press("m")
    at_start.page.locator(f'[data-take="{park[1]}"] a.frame').click(modifiers=["Shift"])
    at_start.page.locator(f'[data-take="{sea[0]}"] a.frame').click(modifiers=["Shift"])
    assert at_start.page.locator("figure.marked").count() == 3
    at_start.press("c")
    cells = at_start.page.locator(".cell").evaluate_all("cells => cells.map(cell => cell.dataset.key)")
    assert cells == [sofa[0], park[1], sea[0]]
    at_start.press("Escape", "Escape")
    assert at_start.page.locator("figure.marked").count() == 0
    at_start.press("c")
    assert at_start.front() is None, "a scene of one take has nothing to compare"
    assert at_start.page.locator("#said").text_content() != ""


def test_on_a_phone_every_star_of_a_compared_take_can_be_touched(tmp_path, review):
    manifest = paint_all(make_manifest(make_scene("sofa", *takes_of("sofa", 4))), tmp_path)
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    reviewer = review(write_sheet(manifest, tmp_path), **phone)
    reviewer.go_to(keys_of(manifest)[0]).press("c")
    spare = """[...document.querySelectorAll('.cell')].map((cell) => {
        const [card, star] = [cell, cell.querySelector('.star:last-child')].map((it) => it.getBoundingClientRect());
        return [card.right - star.right, card.bottom - star.bottom, star.width - 24, star.height - 24];
    })"""
    assert [len(cell) for cell in reviewer.page.evaluate(spare) if min(cell) >= 0] == [4] * 4
    reviewer.page.locator(".cell .star:last-child").nth(1).tap()
    assert reviewer.take(keys_of(manifest)[1], "stars") == "5"


def test_before_and_after_under_a_slider(story, tmp_path, review):
    html = write_sheet(story, tmp_path)
    told = html.read_text(encoding="utf-8")
    before = next(iter(story.pictures.values())).file
    start, rest = told.split('<script type="application/json" id="story">')
    data, end = rest.split("</script>", 1)
    known = json.loads(data)
    known["scenes"][1] |= {"changed": [["prompt"]], "before": {"key": "0" * 64, "seed": 0, "picture": before}}
    html.write_text(f'{start}<script type="application/json" id="story">{json.dumps(known)}</script>{end}', "utf-8")
    reviewer = review(html)
    assert reviewer.page.evaluate("document.getElementById('scene-02').classList.contains('unseen')")
    reviewer.press("ArrowRight", "ArrowDown", "b")
    assert reviewer.front() == "before"
    clip = "getComputedStyle(document.querySelector('.former')).clipPath"
    assert "50%" in reviewer.page.evaluate(clip)
    reviewer.press("ArrowRight")
    assert "49%" in reviewer.page.evaluate(clip), "the arrows move the slider"
    reviewer.until("[...document.querySelectorAll('.slide img')].every(image => image.naturalWidth)")
    reviewer.press("Escape", "x")
    assert not reviewer.page.evaluate("document.getElementById('scene-02').classList.contains('unseen')")


def test_buttons_on_a_take_do_what_the_keys_do(at_start, story):
    first = keys_of(story)[0]
    figure = at_start.page.locator(f'[data-take="{first}"]')
    figure.hover()
    figure.locator(".judge .pick").click()
    assert at_start.flags()[:2] == ["pick", "none"]
    assert figure.locator(".judge .pick").get_attribute("aria-pressed") == "true"
    figure.locator(".judge .star").nth(1).click()
    assert at_start.take(first, "stars") == "2"
    figure.locator(".judge .pick").click()
    assert at_start.take(first, "flag") == "none"


def test_on_a_phone_the_buttons_are_there_and_nothing_overflows(story, tmp_path, review):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    reviewer = review(write_sheet(story, tmp_path), **phone)
    figure = reviewer.page.locator(f'[data-take="{keys_of(story)[0]}"]')
    figure.scroll_into_view_if_needed()
    figure.locator(".judge .reject").tap()
    assert reviewer.take(keys_of(story)[0], "flag") == "reject"
    figure.locator("a.frame").tap()
    assert reviewer.front() == "loupe"
    wide = "Math.max(document.documentElement.scrollWidth, document.querySelector('dialog').scrollWidth)"
    assert reviewer.page.evaluate(wide) == 390
    reviewer.page.locator(".loupe .judge .pick").tap()
    assert reviewer.flags()[0] == "pick"
    assert reviewer.page.locator(".loupe .close").bounding_box()["width"] >= 24


def test_a_thousand_takes_answer_within_a_blink(tmp_path, review):
    scenes = [make_scene(f"s{n}", *takes_of(f"s{n}", 4, (8, 8))) for n in range(250)]
    reviewer = review(write_sheet(paint_all(make_manifest(*scenes), tmp_path), tmp_path))
    reviewer.press("ArrowRight")
    spent = reviewer.page.evaluate("""() => ["p", "x", "3", "ArrowRight", "ArrowDown", "u", "z", "m"].map((key) => {
      const before = performance.now();
      document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      return performance.now() - before;
    })""")
    assert sorted(spent)[len(spent) // 2] < 50, spent


@pytest.fixture
def served(tmp_path, browser):
    """A server, and a reviewer on its page with the cursor on the first take."""
    story = write_story(tmp_path)
    with serving(story, render_fake(story)[0].plan.folder) as server:
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        page = context.new_page()
        page.goto(server.guard.address)
        reviewer = Reviewer(page)
        reviewer.page.locator("#advance").click()
        yield server, reviewer.press("ArrowRight"), context
        context.close()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_says_where_decisions_are(served, at_start, language):
    _, live, _ = served
    told = []
    for reviewer in (live, at_start):
        if reviewer.page.evaluate("document.documentElement.lang").startswith("zh") != (language == "zh"):
            reviewer.page.locator("#language").click()
        reviewer.press("?")
        told.append(reviewer.page.locator(".help .about").last.text_content())
    on_server, from_disk = told
    kept = {"en": "stay in this browser", "zh": "保存在此浏览器中"}[language]
    saved = {"en": "on disk", "zh": "存盘"}[language]
    assert kept in from_disk and kept not in on_server and saved in on_server
    assert all("review.json" in each and "storyboard apply" in each for each in told)


def on_disk(server):
    path = server.folder / "review.json"
    return read_review(path).decisions if path.exists() else {}


def test_what_the_server_does_not_take_waits_says_so_and_is_sent_later(served):
    server, reviewer, context = served
    key = reviewer.cursor()
    context.set_offline(True)
    reviewer.press("x", "4")
    reviewer.until("document.getElementById('kept').dataset.state === 'away'")
    assert reviewer.page.locator("#kept").text_content().startswith("1 ") and on_disk(server) == {}
    context.set_offline(False)
    reviewer.until("document.getElementById('kept').dataset.state === 'saved'")
    assert (on_disk(server)[key].flag, on_disk(server)[key].stars) == ("reject", 4)
    reviewer.press("z", "z")
    reviewer.until("document.getElementById('kept').dataset.state === 'saved'")
    assert on_disk(server)[key].flag == "none" and reviewer.take(key, "reviewed") is None, "undone: not looked at yet"


def test_the_page_follows_the_sheet_with_the_loupe_open_but_not_while_somebody_types(served):
    server, reviewer, _ = served
    key = reviewer.cursor()
    reviewer.press("Enter", "]", "n")
    reviewer.page.keyboard.type("half a th")
    reviewer.page.evaluate("window.same = true")
    server.live.send("sheet", {})
    reviewer.page.wait_for_timeout(1500)
    assert reviewer.page.evaluate("window.same"), "it waits"
    reviewer.page.keyboard.type("ought")
    reviewer.press("Escape")
    reviewer.until("!window.same && document.querySelector('.loupe[open] textarea')?.value === 'half a thought'")
    assert reviewer.loupe() == key
    assert reviewer.page.evaluate("document.querySelector('.plate').style.transform").endswith("scale(1.25)")
    assert on_disk(server)[key].note == "half a thought"
