"""The served sheet in a real browser: what its own page may do, and that no other page may."""

from __future__ import annotations

import functools
import http.server
import threading

import pytest

from tests.stories import render_fake, write_story
from tests.test_review_server import keys, on_disk, serving, wait_for
from tests.test_sheet_browser import until

pytestmark = pytest.mark.browser

PAINTED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 200))))"

ATTACK = """async (origin) => {
  const tries = {};
  const entry = { scene: "sofa", seed: 0, flag: "reject", stars: 0, note: "", at: "2030-01-01T00:00:00Z" };
  const body = JSON.stringify({ decisions: { ["a".repeat(64)]: entry } });
  const post = async (options) => {
    try { return (await fetch(origin + "/review", { method: "POST", body, ...options })).type; }
    catch (error) { return "refused"; }
  };
  tries.json = await post({ credentials: "include", headers: { "Content-Type": "application/json" } });
  tries.plain = await post({ credentials: "include", mode: "no-cors" });
  tries.picture = await new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve("loaded");
    image.onerror = () => resolve("refused");
    image.src = origin + "/grid.png";
  });
  tries.events = await new Promise((resolve) => {
    const source = new EventSource(origin + "/events", { withCredentials: true });
    source.onopen = () => resolve("open");
    source.onerror = () => resolve("refused");
  });
  return tries;
}"""


@pytest.fixture
def context(browser):
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def server(tmp_path):
    story = write_story(tmp_path)
    with serving(story, render_fake(story)[0].plan.folder) as server:
        yield server


def opened(context, address):
    """A page, and what it complains of."""
    page, complaints = context.new_page(), []
    page.on("console", lambda said: "favicon" in said.location.get("url", "") or complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    page.evaluate(PAINTED)
    return page, complaints


def go_to(page, key):
    """Puts the cursor on a take; nothing is decided of one that is out of sight."""
    take = page.locator(f'[data-take="{key}"]').first
    take.scroll_into_view_if_needed()
    take.focus()
    page.evaluate(PAINTED)


def flag(key):
    return f"document.querySelector('[data-take=\"{key}\"]')?.dataset.flag"


def test_a_key_pressed_is_on_disk_and_in_the_other_tab(context, server):
    first, complaints = opened(context, server.guard.one_visit())
    assert first.url == f"{server.guard.origin}/"
    second, others = opened(context, first.url)
    key = keys(server)[0]
    go_to(first, key)
    first.keyboard.press("p")
    wait_for(lambda: (server.folder / "review.json").exists() and on_disk(server)[key]["flag"] == "pick")
    until(second, f"{flag(key)} === 'pick'")
    assert first.evaluate("document.cookie") == ""
    assert complaints == others == []


def test_the_page_follows_a_render_and_the_reviewer_keeps_their_place(context, tmp_path):
    scenes = "".join(f"  - {{id: s{n}, prompt: 海边 {n}, seeds: [0, 1]}}\n" for n in range(30))
    story = write_story(tmp_path, f"size: 64x64\nscenes:\n{scenes}")
    with serving(story, render_fake(story)[0].plan.folder) as server:
        page, complaints = opened(context, server.guard.address)
        key = keys(server, "s20")[1]
        go_to(page, key)
        page.keyboard.press("x")
        wait_for(lambda: (server.folder / "review.json").exists())
        where = "document.getElementById('scene-21').getBoundingClientRect().top"
        page.wait_for_timeout(1000)
        before = page.evaluate(where)
        write_story(tmp_path, f"size: 64x64\nscenes:\n{scenes.replace('海边 7,', '山上,')}")
        render_fake(story)
        until(page, "document.body.textContent.includes('山上')")
        until(page, f"Math.abs({where} - {before}) < 40")
        assert page.evaluate(flag(key)) == "reject"
        assert complaints == []


def test_what_could_not_be_saved_is_saved_when_the_server_comes_back(context, tmp_path):
    story = write_story(tmp_path)
    folder = render_fake(story)[0].plan.folder
    with serving(story, folder) as server:
        page, _ = opened(context, server.guard.address)
        first, second = keys(server)
    go_to(page, second)
    page.keyboard.press("x")
    until(page, f"{flag(second)} === 'reject'")
    page.wait_for_timeout(500)
    assert not (folder / "review.json").exists()
    page.close()
    with serving(story, folder) as server:
        opened(context, server.guard.address)
        wait_for(lambda: (folder / "review.json").exists())
        assert on_disk(server)[second]["flag"] == "reject"
        assert first not in on_disk(server)


def test_a_picture_opens_by_itself(context, server):
    page = context.new_page()
    page.goto(server.guard.address)
    page.goto(f"{server.guard.origin}/grid.png")
    assert page.evaluate("document.images[0].naturalWidth") > 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_another_page_on_this_machine_can_do_nothing_with_the_reviewers_cookie(context, server, tmp_path, host):
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text(f"<!doctype html><title>x</title><iframe src='{server.guard.origin}/'></iframe>")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    page = context.new_page()
    page.goto(server.guard.address)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page.goto(f"http://{host}:{other.server_port}/")
        tries = page.evaluate(ATTACK, server.guard.origin)
        framed = page.frames[1].evaluate("document.querySelector('main, #story') !== null")
        other.shutdown()
    assert tries == {"json": "refused", "plain": "refused", "picture": "refused", "events": "refused"}
    assert not framed
    assert not (server.folder / "review.json").exists()
