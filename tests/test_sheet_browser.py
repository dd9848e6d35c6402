"""The sheet in a real browser, opened from disk as people open it."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress

import pytest

from renderer.grid import compose_grid
from renderer.prompts import Part
from renderer.sheet import write_sheet
from tests.manifests import make_entry, make_manifest, make_scene, paint_all
from tests.test_sheet import HOSTILE, MEI

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium")

CONTRAST = """() => {
  const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
  };
  const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  return [...document.body.querySelectorAll("*")].filter((e) => own(e) && e.tagName !== "SCRIPT").map((e) => {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), e.className + " " + e.textContent.slice(0, 30)];
  });
}"""

OVERLAPS = """() => [...document.querySelectorAll("article")].flatMap((card) => {
  card.style.contentVisibility = "visible";
  const box = card.getBoundingClientRect();
  const blocks = [...card.querySelectorAll("h2, .takes, .notes > div, .reason, .prompt, details")];
  const boxes = blocks.map((block) => block.getBoundingClientRect());
  return blocks.flatMap((block, i) => {
    const a = boxes[i];
    const out = a.right > box.right + 1 || a.left < box.left - 1 || a.bottom > box.bottom + 1;
    const on = boxes.findIndex((b, j) => j > i && a.left < b.right - 1 && b.left < a.right - 1
      && a.top < b.bottom - 1 && b.top < a.bottom - 1);
    if (out) return [block.className + " leaves its card"];
    return on > -1 ? [block.className + " on " + blocks[on].className] : [];
  });
})"""


def until(page, expression, seconds=10):
    """Waits until an expression holds. Playwright's own way needs `eval`, which the page's policy forbids."""
    playwright = pytest.importorskip("playwright.sync_api")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(playwright.Error):  # the page may be reloading
            if page.evaluate(expression):
                return
        time.sleep(0.1)
    pytest.fail(f"never came true: {expression}")


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def story(tmp_path):
    """A story with a pick, a failure, a take to paint, and a grid."""
    takes = [make_entry(s, [MEI, Part("，在沙发上", "scene")], "模糊", (96, 64), ("pencil",)) for s in range(3)]
    sofa = make_scene("sofa", *takes, template="{mei}，在沙发上", pick=takes[1].key, dialogue="Oh?", duration=2)
    others = [
        make_scene(f"s{n}", make_entry(n, f"海边 {n}", size=(64, 96)), template=f"海边 {n}") for n in range(4, 12)
    ]
    failed, late = others[0].takes[0].key, others[1].takes[0].key
    manifest = make_manifest(sofa, *others, failures={failed: "out of memory"}, source="tale.yaml")
    keys = {take.key for scene in manifest.scenes for take in scene.takes} - {late}
    manifest = paint_all(manifest, tmp_path, only=keys)
    compose_grid(manifest, tmp_path)
    return manifest


@pytest.fixture
def open_page(browser):
    """Opens a sheet and fails, at the end, if it asked for anything but files or had anything to complain of."""
    contexts, complaints = [], []

    def opened(path, width=1400, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda asked: asked.url.startswith("file://") or complaints.append(asked.url))
        page.on("requestfailed", lambda asked: complaints.append(asked.url))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def test_style_script_and_pictures_work_under_the_pages_policy(story, tmp_path, open_page):
    page = open_page(write_sheet(story, tmp_path))
    assert page.evaluate("getComputedStyle(document.querySelector('article')).display") == "grid"
    assert page.locator("button.copy").count() > 0
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    page.locator("#grid").evaluate("grid => grid.open = true")
    until(page, "[...document.images].every(image => image.complete && image.naturalWidth)")


def test_a_script_that_came_in_would_not_run(story, tmp_path, browser):
    page = browser.new_page()
    page.goto(write_sheet(story, tmp_path).as_uri())
    blocked = page.evaluate("""() => new Promise((resolve) => {
        document.addEventListener("securitypolicyviolation", (event) => resolve(event.violatedDirective));
        const script = document.createElement("script");
        script.textContent = "window.hacked = 1";
        document.body.append(script);
    })""")
    assert blocked.startswith("script-src") and page.evaluate("window.hacked") is None
    page.close()


@pytest.mark.parametrize("clipboard", [True, False])
def test_copy_buttons_copy_the_prompt_with_and_without_the_clipboard(story, tmp_path, open_page, clipboard):
    page = open_page(write_sheet(story, tmp_path), permissions=["clipboard-read", "clipboard-write"])
    if not clipboard:
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not here')); }")
    button = page.locator("article .prompt button.copy").first
    assert button.get_attribute("aria-label") == "Copy: Prompt"
    button.click()
    until(page, "document.querySelector('article button.copy').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == "紫色短发小女孩，在沙发上"
    assert page.evaluate("document.activeElement.className") == "copy", "the focus stays"
    until(page, "document.querySelector('article button.copy').textContent === 'Copy'")
    page.locator(".get-back button.copy").click()
    until(page, "document.querySelector('.get-back button').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == "storyboard render tale.yaml"


@pytest.mark.parametrize("width", [390, 768, 1400, 2560])
def test_nothing_overflows_at_any_width(story, tmp_path, open_page, width):
    page = open_page(write_sheet(story, tmp_path, painting=(1, 9)), width)
    page.locator("details").evaluate_all("all => all.forEach(details => details.open = true)")
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_themes(story, tmp_path, open_page, scheme, language):
    manifest = story.model_copy(update={"language": language})
    page = open_page(write_sheet(manifest, tmp_path, painting=(1, 9)), color_scheme=scheme)
    page.locator("details").evaluate_all("all => all.forEach(details => details.open = true)")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(247, 244, 238)" if scheme == "light" else "rgb(21, 20, 18)")
    found = page.evaluate(CONTRAST)
    assert len(found) > 50 and [text for ratio, text in found if ratio < 4.5] == []


@pytest.mark.parametrize("width", [390, 1400])
def test_hostile_text_shows_as_typed_runs_nothing_and_overlaps_nothing(tmp_path, open_page, width):
    text = HOSTILE + "\0" + "w" * 3000 + "\u2067rtl"
    takes = [make_entry(seed, [Part(text, "wildcard", text)], text, (64, 64), (text,), model=text) for seed in (0, 1)]
    scene = make_scene(
        text, *takes, **dict.fromkeys(("template", "shot", "camera", "action", "dialogue", "note"), text)
    )
    long = make_scene("long", make_entry(3, "长" * 34_000, size=(64, 64)))
    manifest = make_manifest(scene, long, title=text, failures={takes[1].key: text})
    records = paint_all(make_manifest(make_scene("x", takes[0]), long), tmp_path).pictures
    page = open_page(write_sheet(manifest.model_copy(update={"pictures": records}), tmp_path), width)
    page.locator("details").evaluate_all("all => all.forEach(details => details.open = true)")
    assert page.evaluate("window.hacked") is None
    typed = text.replace("\0", "\ufffd")
    assert page.locator("article .prompt p").first.text_content() == typed
    assert page.locator("h1").text_content() == typed
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.documentElement.scrollHeight") < 30_000


def test_the_keyboard_reaches_everything_and_shows_where_it_is(story, tmp_path, open_page):
    page = open_page(write_sheet(story, tmp_path))
    seen = []
    for _ in range(16):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.tagName + '.' + document.activeElement.className"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", seen
    assert seen[0] == "A.skip" and "BUTTON.copy" in seen and "SUMMARY." in seen and "A.frame large" in seen
    page.keyboard.press("Shift+Tab")
    page.locator("a.skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "scenes"


def test_texts_that_scroll_are_reached_by_the_keyboard(tmp_path, open_page):
    manifest = make_manifest(*[make_scene(f"s{n}", make_entry(n, "字" * n)) for n in (100, 5000)])
    page = open_page(write_sheet(manifest, tmp_path), 390)
    page.locator("#scene-02").scroll_into_view_if_needed()
    until(page, "document.querySelector('#scene-02 .prompt p').tabIndex === 0")
    assert page.evaluate("document.querySelector('#scene-01 .prompt p').tabIndex") == -1


def test_a_picture_opens_in_full(story, tmp_path, open_page):
    page = open_page(write_sheet(story, tmp_path))
    page.locator("a.large").first.click()
    page.wait_for_url("**/pictures/sofa-1-*.png")


def test_the_page_follows_the_painting_and_keeps_its_place(story, tmp_path, open_page):
    page = open_page(write_sheet(story, tmp_path, painting=(1, 9)))
    page.locator("#scene-05 summary").click()
    page.locator("#scene-05 summary").focus()
    page.evaluate("document.getElementById('scene-05').scrollIntoView({behavior: 'instant', block: 'center'})")
    page.wait_for_timeout(200)
    before = page.evaluate("document.getElementById('scene-05').getBoundingClientRect().top")
    write_sheet(story, tmp_path, painting=(8, 9))
    until(page, "document.querySelector('progress').value === 8")
    page.wait_for_timeout(200)
    assert abs(page.evaluate("document.getElementById('scene-05').getBoundingClientRect().top") - before) < 3
    assert page.evaluate("document.querySelector('#scene-05 details').open")
    assert page.evaluate("document.activeElement.closest('article').id") == "scene-05"
    write_sheet(story, tmp_path)
    until(page, "!document.querySelector('progress')")
    page.evaluate("window.stayed = true")
    page.wait_for_timeout(5000)
    assert page.evaluate("window.stayed"), "a finished page doesn't reload"


def test_those_who_want_less_motion_get_none(story, tmp_path, open_page):
    page = open_page(write_sheet(story, tmp_path), reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    assert page.evaluate("getComputedStyle(document.querySelector('.copy')).transitionDuration") == "0s"
