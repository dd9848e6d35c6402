"""A story with its pictures in a ZIP that goes on elsewhere: what is packed is not painted anew there."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from renderer.exporting.embedded import settled_page
from renderer.exporting.panels import Reel
from renderer.exporting.shot_list import shot_list
from renderer.exporting.target import safe_name
from renderer.looking.thumbs import thumbnail
from renderer.manifest import MANIFEST_FILE, Manifest
from renderer.reading.yaml_file import read_yaml
from renderer.sheet import SHEET, render_sheet
from renderer.take import TakeLora, TrainedFile

MOMENT = (1980, 1, 1, 0, 0, 0)
"""The time of every file in it, the earliest that ZIP knows: the same story gives the same bytes."""
PACKED = {".png", ".webp", ".jpg"}
"""Files that compressing again makes no smaller."""

Content = bytes | Path


def write_zip(reel: Reel, draft: Path) -> None:
    """All of a story but its weights, under a folder of its name, in the order of the names."""
    with zipfile.ZipFile(draft, "w") as archive:
        for name, content in sorted(contents(reel).items()):
            entry = zipfile.ZipInfo(name, MOMENT)
            entry.compress_type = zipfile.ZIP_STORED if Path(name).suffix in PACKED else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # as on Unix wherever it is made
            archive.writestr(entry, content if isinstance(content, bytes) else content.read_bytes())


def contents(reel: Reel) -> dict[str, Content]:
    """What is packed, by its name in the archive.

    `story/` holds the storyboard and the files that it includes, as they lie to each other; `renders/<story>/` the run
    folder with the pictures exported; beside them lie the shot list and the list of LoRA files.
    """
    stem = safe_name(reel.plan.storyboard.path.stem)
    run = f"{stem}/renders/{stem}"
    sources = {path: f"story/{name}" for path, name in _story_files(reel.plan.storyboard.path)}
    manifest = _packed_manifest(reel, f"../../{sources[reel.plan.storyboard.path.resolve()]}")
    found: dict[str, Content] = {f"{stem}/{name}": path for path, name in sources.items()}
    found |= {f"{run}/{_inside(panel.file)}": panel.picture for panel in reel.panels if panel.picture}
    found |= {f"{run}/{_inside(str(path))}": reel.folder / path for path in _looks(reel)}
    found[f"{run}/{SHEET}"] = render_sheet(settled_page(manifest, reel.folder)).encode("utf-8", "replace")
    found[f"{run}/{MANIFEST_FILE}"] = manifest.model_dump_json(indent=1).encode("utf-8", "replace")
    found[f"{stem}/{stem}.csv"] = shot_list(reel)
    if loras := _lora_list(reel):
        found[f"{stem}/loras.txt"] = loras
    return found


def _packed_manifest(reel: Reel, source: str) -> Manifest:
    """The record of what is packed: takes that stay behind are not in it, so that they don't show as lost."""
    packed = {panel.take.key for panel in reel.panels}
    scenes = tuple(
        scene.model_copy(update={"takes": tuple(take for take in scene.takes if take.key in packed)})
        for scene in reel.manifest.scenes
    )
    shown = (reel.manifest.picture(panel.take.key) for panel in reel.panels if panel.picture)
    pictures = {record.key for record in shown if record}
    previous = reel.plan.previous
    return reel.manifest.model_copy(
        update={
            "scenes": scenes,
            "pictures": {key: record for key, record in reel.manifest.pictures.items() if key in pictures},
            "failures": {key: why for key, why in reel.manifest.failures.items() if key in packed},
            "drafts": {key: draft for key, draft in reel.manifest.drafts.items() if key in packed},
            "source": source,
            "updated_at": previous.updated_at if previous else "",
        }
    )


def _looks(reel: Reel) -> Iterator[Path]:
    """Files of the run folder that the sheet shows beside the pictures, and the review; seen from the run folder."""
    for panel in reel.panels:
        record = reel.manifest.picture(panel.take.key)
        small = thumbnail(panel.picture, reel.folder, record.key) if record and panel.picture else None
        if small:
            yield small.relative_to(reel.folder)
    pages = (path for path in reel.folder.glob("grid*.png") if re.fullmatch(r"grid(-\d+)?\.png", path.name))
    for path in (*pages, reel.folder / "review.json"):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(reel.folder)


def _story_files(story: Path) -> Iterator[tuple[Path, str]]:
    """The storyboard and the files that it includes, with their paths from the folder that holds them all."""
    files = list(_with_includes(story.resolve(), set()))
    top = Path(os.path.commonpath([path.parent for path in files]))
    for path in files:
        yield path, _inside(path.relative_to(top).as_posix())


def _with_includes(file: Path, seen: set[Path]) -> Iterator[Path]:
    if file in seen:
        return
    seen.add(file)
    yield file
    node = read_yaml(file).root.items.get("include")
    names = [] if node is None else node.value if isinstance(node.value, list) else [node.value]
    for name in names:
        yield from _with_includes((file.parent / str(name)).resolve(), seen)


def _inside(path: str) -> str:
    """A relative path that leads nowhere else on any system: no drive, no backslash, no way up, nothing invisible."""
    parts = (part for part in PurePosixPath(path).parts if part not in ("/", ".", ".."))
    return "/".join(re.sub(r'[\\:*?"<>|\x00-\x1f\x7f\ud800-\udfff]', "_", part) for part in parts)


def _lora_list(reel: Reel) -> bytes:
    """The trained files that the story is painted with, a line for each; the weights themselves stay where they are."""
    used = {f"{_file_name(file)}  sha256 {file.sha256}" for planned in reel.plan.takes for file in planned.take.trained}
    return "".join(f"{line}\n" for line in sorted(used)).encode("utf-8", "replace")


def _file_name(file: TrainedFile) -> str:
    """A trained file's name; of one that is a step of a training, with its folder."""
    if file.path is None:
        return file.name
    return "/".join(file.path.parts[-2:]) if isinstance(file, TakeLora) and file.step else file.path.name
