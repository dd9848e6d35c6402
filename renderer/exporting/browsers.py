"""Browsers of Chromium's family on this machine, which can print a page to PDF without a window."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from renderer.errors import StoryboardError

NAMES = (
    *("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"),
    *("microsoft-edge-stable", "microsoft-edge", "msedge", "brave-browser", "brave"),
)
APPLICATIONS = ("Google Chrome", "Chromium", "Microsoft Edge", "Brave Browser")  # macOS
PROGRAMS = (  # Windows
    *("Google/Chrome/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe"),
    *("Chromium/Application/chrome.exe", "BraveSoftware/Brave-Browser/Application/brave.exe"),
)
PLAYWRIGHT = ("chrome-linux*/chrome", "chrome-mac*/*.app/Contents/MacOS/*", "chrome-win*/chrome.exe")

SECONDS = 180
"""More than a sheet of a thousand pictures takes; a browser that hangs is ended then."""


def find_browser() -> str:
    """The first browser found. Raises StoryboardError, which says what to install, where there is none."""
    on_path = (found for name in NAMES if (found := shutil.which(name)))
    elsewhere = (str(path) for path in _usual_places() if path.is_file())
    if browser := next(chain(on_path, elsewhere), None):
        return browser
    raise StoryboardError(
        "A PDF is printed by a browser, and none was found. Install Chromium, Chrome or Edge (on Debian: "
        "`apt install chromium`), or export with --to single-html and print that."
    )


def print_page(page: Path, pdf: Path, workplace: Path, seconds: float = SECONDS) -> None:
    """Prints an HTML file to `pdf`; the browser's profile lies in `workplace`. Raises StoryboardError."""
    command = [
        *(find_browser(), "--headless", "--disable-gpu", "--disable-extensions", "--disable-dev-shm-usage"),
        *("--no-first-run", "--no-default-browser-check", "--hide-scrollbars", "--no-pdf-header-footer"),
        f"--user-data-dir={workplace.absolute() / 'profile'}",
        f"--print-to-pdf={pdf.absolute()}",
        *(["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []),  # its sandbox refuses root
        page.resolve().as_uri(),
    ]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=sys.platform != "win32"
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise StoryboardError(
                f"{command[0]} did not print the sheet within {seconds:g} s. "
                "Export with --to single-html, and print that from a browser."
            ) from None
        finally:
            _end(process)
        if not pdf.is_file():
            said.seek(0)
            words = said.read().decode("utf-8", "replace").strip().splitlines()[-1:] or ["it says nothing"]
            raise StoryboardError(
                f"{command[0]} printed nothing: {words[0]}. Export with --to single-html, and print that."
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a browser with the processes that it started, which would otherwise stay."""
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _usual_places() -> Iterator[Path]:
    for name in APPLICATIONS:
        for applications in (Path("/Applications"), Path.home() / "Applications"):
            yield applications / f"{name}.app/Contents/MacOS/{name}"
    for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"):
        if root := os.environ.get(variable):
            yield from (Path(root) / program for program in PROGRAMS)
    for folder in _playwright_folders():
        for pattern in PLAYWRIGHT:
            yield from sorted(folder.glob(f"chromium-*/{pattern}"), reverse=True)


def _playwright_folders() -> Iterator[Path]:
    """Where Playwright keeps the browsers that it fetches."""
    if given := os.environ.get("PLAYWRIGHT_BROWSERS_PATH"):
        yield Path(given)
    yield Path.home() / ".cache" / "ms-playwright"
    yield Path.home() / "Library" / "Caches" / "ms-playwright"
    if local := os.environ.get("LOCALAPPDATA"):
        yield Path(local) / "ms-playwright"
