"""Exports that are pages: the sheet as one HTML file, and on paper."""

from __future__ import annotations

import io
import os
import shutil
import sys
import time
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from renderer.errors import StoryboardError
from renderer.export import export_story
from renderer.exporting import browsers
from renderer.exporting.browsers import print_page
from renderer.exporting.embedded import data_uri
from renderer.exporting.printing import count_pages
from tests.fakes import FakePainter
from tests.pages import parse, select
from tests.stories import render_fake, write_story

CHROMIUM = shutil.which("chromium")
HOSTILE = "</script><script>hacked=1</script>\"'><img src=x onerror=hacked=1> javascript:hacked=1 \\u202eevil ]]>"
PAGES = """\
title: 星光
language: zh
size: 96x64
scenes:
  - {id: sofa, prompt: 沙发, seeds: [0, 1], pick: 1, dialogue: 好无聊啊, duration: 2}
  - {id: park, prompt: 公园, note: 安静}
"""


@pytest.fixture
def told(tmp_path):
    story = write_story(tmp_path, PAGES)
    render_fake(story)
    return story


def exported(story: Path, to: str, **options) -> Path:
    return export_story(story, to, out=story.parent / "renders" / story.stem, **options).path


def test_one_page_holds_all_its_pictures_and_asks_for_nothing(told, tmp_path):
    html = exported(told, "single-html").read_text(encoding="utf-8")
    page = parse(html)
    images = select(page, "img")
    assert len(images) >= 3
    assert all(image.get("src").startswith("data:image/") for image in images)
    assert all(link.get("href").startswith(("data:image/", "#")) for link in select(page, "a"))
    (policy,) = (meta.get("content") for meta in select(page, "meta") if meta.get("http-equiv"))
    assert "img-src data:;" in policy and "'self'" not in policy and "http" not in policy


def test_one_page_holds_the_whole_picture_of_what_it_shows_and_of_all_takes_on_request(told, tmp_path):
    pictures = sorted((tmp_path / "renders/tale/pictures").iterdir())
    html = exported(told, "single-html").read_text(encoding="utf-8")
    held = [data_uri(path) in html for path in pictures]
    assert [path.name[:6] for path in pictures] == ["park-0", "sofa-0", "sofa-1"]
    assert held == [True, False, True]
    html = exported(told, "single-html", all_takes=True).read_text(encoding="utf-8")
    assert all(html.count(data_uri(path)) == 1 for path in pictures)


def test_a_scene_without_a_picture_is_shown_as_such(tmp_path):
    story = write_story(tmp_path, PAGES)
    render_fake(story, FakePainter(failing=("park",)))
    done = export_story(story, "single-html", out=tmp_path / "renders/tale")
    assert [panel.name for panel in done.absent] == ["02 park"]
    page = parse(done.path.read_text(encoding="utf-8"))
    assert "failed" in select(page, "#scene-02 .frame")[0].get("class")


def hostile(tmp_path: Path) -> Path:
    fields = "".join(f'    {name}: "{HOSTILE.replace(chr(34), chr(92) + chr(34))}"\n' for name in ("note", "dialogue"))
    title = HOSTILE.replace('"', '\\"')
    text = f'title: "{title}"\nsize: 64x64\nscenes:\n  - prompt: "{title}"\n{fields}'.replace("{", "{{").replace(
        "}", "}}"
    )
    story = write_story(tmp_path, text, "it's <b>&'hostile'.yaml")
    render_fake(story)
    return story


@pytest.mark.browser
def test_one_page_opens_alone_and_shows_its_pictures(browser, told, tmp_path):
    alone = shutil.copy(exported(told, "single-html", all_takes=True), tmp_path / "alone.html")
    shutil.rmtree(tmp_path / "renders")
    page = browser.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(Path(alone).as_uri())
    sizes = page.evaluate(
        "Promise.all([...document.images].map(i => (i.loading='eager', i.decode().then(() => i.naturalWidth))))"
    )
    page.close()
    assert sizes and set(sizes) == {96}
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [Path(alone).as_uri()]


@pytest.mark.browser
def test_nothing_in_a_hostile_story_runs_in_one_page(browser, tmp_path):
    path = exported(hostile(tmp_path), "single-html")
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.evaluate("document.title").startswith("</script><script>hacked=1</script>")
    page.close()


# On paper.

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def pdf_of(path: Path):
    return pytest.importorskip("pypdf").PdfReader(io.BytesIO(path.read_bytes()))


@pytest.mark.browser
@needs_browser
def test_the_pdf_has_pages_with_the_pictures_and_what_is_said(told):
    path = exported(told, "pdf")
    pdf = pdf_of(path)
    assert len(pdf.pages) == count_pages(path) >= 1
    text = unicodedata.normalize("NFKC", "".join(page.extract_text() for page in pdf.pages))
    assert "星光" in text and "好无聊啊" in text and "安静" in text
    assert "≈3秒0:02–0:05" in "".join(text.split()), "a scene without a duration lasts as long as in other exports"
    assert max(len(page.images) for page in pdf.pages) >= 2
    assert sorted(each.name for each in path.parent.iterdir()) == [".written.json", "tale.pdf"]


@pytest.mark.browser
@needs_browser
@pytest.mark.parametrize("paper, size", [("A4", (595, 842)), ("letter", (612, 792))])
def test_the_paper_is_what_was_asked_for(told, paper, size):
    box = pdf_of(exported(told, "pdf", paper=paper)).pages[0].mediabox
    assert (abs(box.width - size[0]) < 2, abs(box.height - size[1]) < 2) == (True, True)


@pytest.mark.browser
@needs_browser
def test_a_long_story_is_printed_whole(tmp_path):
    scenes = "".join(f"  - {{id: s{number}, prompt: scene {number}}}\n" for number in range(40))
    story = write_story(tmp_path, f"title: Long\nsize: 64x64\nscenes:\n{scenes}")
    render_fake(story)
    pdf = pdf_of(exported(story, "pdf"))
    assert len(pdf.pages) > 3
    assert sum(len(page.images) for page in pdf.pages) >= 40
    text = " ".join(page.extract_text() for page in pdf.pages)
    assert all(f"s{number}" in text for number in range(40))


@pytest.mark.browser
@needs_browser
def test_a_hostile_story_is_printed_as_typed(tmp_path):
    path = exported(hostile(tmp_path), "pdf")
    text = "".join("".join(page.extract_text() for page in pdf_of(path).pages).split())
    assert "hacked=1</script>" in text
    assert path.name == "it_s _b___hostile_.pdf"


def test_without_a_browser_it_says_what_to_install(told, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browsers, "_usual_places", lambda: iter(()))
    with pytest.raises(StoryboardError, match="Install Chromium, Chrome or Edge"):
        exported(told, "pdf")
    assert list((tmp_path / "renders/tale/exports").iterdir()) == []


def program(folder: Path, code: str) -> None:
    """A browser of that name which does what the code says; `pdf` is where it should print to."""
    path = folder / "chromium"
    head = f"#!{sys.executable}\nimport os, sys, time\n"
    head += "pdf = next(word for word in sys.argv if 'print-to-pdf=' in word).split('=', 1)[1]\n"
    path.write_text(head + code)
    path.chmod(0o755)


@pytest.mark.skipif(os.name == "nt", reason="a script as a program")
def test_a_browser_that_prints_nothing_or_no_page_is_told(told, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "sys.exit('no display')")
    with pytest.raises(StoryboardError, match="printed nothing: no display"):
        exported(told, "pdf")
    program(tmp_path, "open(pdf, 'w').write('%PDF-1.4 %%EOF')")
    with pytest.raises(StoryboardError, match="has no page"):
        exported(told, "pdf")
    assert list((tmp_path / "renders/tale/exports").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="process groups")
def test_a_browser_that_hangs_is_ended_with_its_children(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    note = tmp_path / "child"
    program(tmp_path, f"child = os.fork()\nif child: open({str(note)!r}, 'w').write(str(child))\ntime.sleep(60)")
    (tmp_path / "a.html").write_text("")
    with pytest.raises(StoryboardError, match="did not print the sheet within 2 s"):
        print_page(tmp_path / "a.html", tmp_path / "a.pdf", tmp_path, seconds=2)
    status = Path(f"/proc/{note.read_text()}/stat")
    end = time.monotonic() + 5
    while status.exists() and status.read_text().split()[2] != "Z" and time.monotonic() < end:
        time.sleep(0.05)
    assert not status.exists() or status.read_text().split()[2] == "Z"


def test_browsers_of_playwright_are_found(monkeypatch, tmp_path):
    path = tmp_path / "chromium-1200/chrome-linux64/chrome"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    assert browsers.find_browser() == str(path)


def test_pages_are_counted_only_in_a_whole_pdf(tmp_path):
    path = tmp_path / "a.pdf"
    Image.new("RGB", (8, 8)).save(path, save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert count_pages(path) == 2
    path.write_bytes(path.read_bytes()[:-20])
    assert count_pages(path) == 0
