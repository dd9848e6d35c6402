"""The sheet as one HTML file with all its pictures inside, to be sent and opened anywhere."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from renderer.exporting.panels import Reel
from renderer.exporting.target import refusals_explained
from renderer.looking.changes import Changes
from renderer.looking.picks import picture_path
from renderer.looking.thumbs import THUMBS, thumbnail
from renderer.looking.viewing import view_page
from renderer.looking.views import PageView, SceneView, TakeView
from renderer.manifest import Manifest
from renderer.sheet import render_sheet

Addresses = Callable[[TakeView, bool], tuple[str, str]]
"""From a painted take, and whether it is its scene's main one, to the addresses of its picture and its small copy."""

MEDIA = {".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg"}

POLICY = "img-src &#39;self&#39;"
"""What the sheet's policy says of pictures, as it stands in the page."""


def write_html(reel: Reel, draft: Path) -> None:
    """The page with the whole picture of each scene, of every take with `all_takes`, and small copies of the rest."""
    draft.write_text(single_page(reel), encoding="utf-8")


def single_page(reel: Reel) -> str:
    """The HTML of the page; its policy allows pictures inside it and no others."""

    def addresses(take: TakeView, main: bool) -> tuple[str, str]:
        record = reel.manifest.picture(take.key)
        picture = picture_path(reel.folder, record)
        thumb = thumbnail(picture, reel.folder, record.key) if record and picture else None
        small = data_uri(thumb) if thumb else ""
        return data_uri(picture) if picture and (main or reel.all_takes) else small, small

    html = render_sheet(readdressed_page(reel, addresses))
    assert POLICY in html
    return html.replace(POLICY, "img-src data:", 1)


def readdressed_page(reel: Reel, addresses: Addresses) -> PageView:
    """What the sheet shows, with pictures at other addresses and without the grid, which shows them once more."""
    page = settled_page(reel.manifest, reel.folder)
    return replace(page, grid=(), scenes=tuple(_readdressed(scene, addresses) for scene in page.scenes))


def settled_page(manifest: Manifest, folder: Path) -> PageView:
    """What the sheet of a run folder shows, without what has changed: whoever gets an export saw no earlier one."""
    with refusals_explained(folder / THUMBS):
        page = view_page(manifest, folder)
    scenes = tuple(replace(scene, changed=(), before=None) for scene in page.scenes)
    return replace(page, scenes=scenes, changes=Changes("", "", {}, {}))


def data_uri(file: Path) -> str:
    """A picture's file, as it is, as an address."""
    return f"data:{MEDIA[file.suffix.lower()]};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _readdressed(scene: SceneView, addresses: Addresses) -> SceneView:
    def moved(take: TakeView) -> TakeView:
        if take.status != "painted":
            return take
        picture, thumb = addresses(take, take is scene.main)
        return replace(take, picture=picture, thumb=thumb)

    takes = [moved(take) for take in scene.takes]
    main = next(new for new, old in zip(takes, scene.takes, strict=True) if old is scene.main)
    changes: dict[str, Any] = {"main": main, "takes": tuple(takes)}
    return replace(scene, **changes)
