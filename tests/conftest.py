"""Tests leave the user's own folders alone, see no models but those of the package, and share one browser and one tiny
model a module.
"""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, monkeypatch):
    """Caches and data of this test alone (platformdirs follows these on Linux)."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.delenv("STORYBOARD_MODELS", raising=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A whole model with tiny random weights."""
    from tests.tiny_kolors import make_folder

    return make_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def painter(folder):
    """One that paints with it on the CPU."""
    from renderer.kolors.pipeline import KolorsPainter

    return KolorsPainter(folder, device="cpu")


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Opens a page and fails, at the end, if it asked for anything but files or had anything to complain of."""
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
