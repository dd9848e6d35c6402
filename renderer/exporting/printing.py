"""The sheet on paper: a PDF, printed by a browser in the sheet's print style."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from pathlib import Path

from PIL import Image

from renderer.errors import StoryboardError
from renderer.exporting.browsers import print_page
from renderer.exporting.embedded import readdressed_page
from renderer.exporting.panels import Reel
from renderer.exporting.target import workplace
from renderer.looking.picks import picture_path
from renderer.looking.views import TakeView
from renderer.sheet import render_sheet

SIDES = {True: 1200, False: 480}
"""Pixels of the longer side of a main picture and of the others: 300 dots an inch at 10 and at 4 cm."""
QUALITY = 90

_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")


def write_pdf(reel: Reel, draft: Path) -> None:
    """The sheet as PDF. Raises StoryboardError where there is no browser, or where it prints no page."""
    with workplace(draft) as folder:
        page, pdf = folder / "sheet.html", folder / "sheet.pdf"
        page.write_text(_printable(reel, folder), encoding="utf-8")
        print_page(page, pdf, folder)
        if count_pages(pdf) == 0:
            raise StoryboardError("The browser's PDF has no page. Export with --to single-html, and print that.")
        shutil.copyfile(pdf, draft)


def count_pages(pdf: Path) -> int:
    """The pages of a PDF as Chromium writes it, with its objects readable; 0 for what is no whole PDF."""
    content = pdf.read_bytes()
    whole = content.startswith(b"%PDF-") and b"%%EOF" in content[-1024:]
    return len(_PAGE.findall(content)) if whole else 0


def _printable(reel: Reel, folder: Path) -> str:
    """The HTML of the sheet, with its pictures beside it in `folder` as paper needs them: JPEG keeps the PDF small."""

    def addresses(take: TakeView, main: bool) -> tuple[str, str]:
        picture = picture_path(reel.folder, reel.manifest.picture(take.key))
        name = f"{take.key[:32]}.jpg"
        if picture is None:
            return "", ""
        with Image.open(picture) as image:
            small = image.convert("RGB")
        small.thumbnail((SIDES[main], SIDES[main]), Image.Resampling.LANCZOS)
        small.save(folder / name, quality=QUALITY)
        return name, name

    html = render_sheet(readdressed_page(reel, addresses)).replace(' loading="lazy"', "")  # all of it is printed
    return _on_paper(html, f"@page {{ size: {reel.paper}; }}")


def _on_paper(html: str, style: str) -> str:
    """The page with one style more, and a policy that allows it."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    html = html.replace("style-src ", f"style-src &#39;sha256-{digest}&#39; ", 1)
    return html.replace("</head>", f"<style>{style}</style>\n</head>", 1)
