"""Run folders for tests of grid and sheet: a manifest built by hand, with pictures made of a formula."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from renderer.files import file_sha256
from renderer.manifest import Manifest, PictureRecord, SceneEntry, TakeEntry
from renderer.prompts import Part
from renderer.take import Provenance, Take, key_of

PROVENANCE = Provenance("cpu", "fp32", 1, 3.25, "0123456789ab", "2026-05-04T03:02:01Z", {"torch": "2"})


def make_entry(
    seed: int = 0,
    prompt: str | Iterable[Part] = "一只猫",
    negative: str = "",
    size: tuple[int, int] = (8, 8),
    loras: tuple[str, ...] = (),
    **record: Any,
) -> TakeEntry:
    """A take of a manifest; `record` sets or adds values of its record."""
    parts = (Part(prompt, "scene"),) if isinstance(prompt, str) else tuple(prompt)
    text = "".join(part.text for part in parts)
    take = Take("", seed, text, negative, *size, 25, 4.0, "ddim", "kolors-mini@2")
    values = take.record | {"loras": [{"sha256": "ab" * 32, "strength": 0.8} for _ in loras]} | record
    return TakeEntry(
        key=key_of(values),
        seed=seed,
        prompt=parts,
        negative=(Part(negative, "board"),) if negative else (),
        record=values,
        loras=loras,
    )


def make_scene(id: str = "sofa", *takes: TakeEntry, template: str = "一只猫", **fields: Any) -> SceneEntry:
    """A scene of those takes (one by default, whose prompt is the scene's id)."""
    return SceneEntry(id=id, template=template, takes=takes or (make_entry(prompt=id),), **fields)


def make_manifest(*scenes: SceneEntry, **fields: Any) -> Manifest:
    """A story of those scenes, with nothing painted."""
    return Manifest(**({"title": "Starlight", "model": "kolors-mini@2", "scenes": scenes} | fields))


def paint_all(manifest: Manifest, folder: Path, pixels: Any = None, only: Iterable[str] | None = None) -> Manifest:
    """The manifest with pictures of all its takes (or of the keys in `only`) in `folder`, gradients by default.

    `pixels` is a function from a take to uint8 [height, width, 3], or a dict of them by scene.
    """
    pictures = dict(manifest.pictures)
    for scene in manifest.scenes:
        for take in scene.takes:
            if take.key in manifest.failures or (only is not None and take.key not in only):
                continue
            array = pixels[scene.id] if isinstance(pixels, dict) else (pixels or gradient)(take)
            pictures[take.key] = save_picture(folder, scene.id, take, array)
    return manifest.model_copy(update={"pictures": pictures})


def draft_only(manifest: Manifest, folder: Path, scene: int, take: int = 0) -> Manifest:
    """The manifest with only a draft of a take, in place of a picture of its own."""
    entry = manifest.scenes[scene].takes[take]
    record = entry.record | {"cache_interval": 2, "draft": True, "sampler": "dpm++2m", "steps": 12}
    draft = entry.model_copy(update={"key": key_of(record), "record": record})
    picture = save_picture(folder, manifest.scenes[scene].id, draft, gradient(draft))
    pictures = {key: each for key, each in manifest.pictures.items() if key != entry.key}
    drafts = manifest.drafts | {entry.key: draft.key}
    return manifest.model_copy(update={"pictures": pictures | {draft.key: picture}, "drafts": drafts})


def save_picture(folder: Path, scene: str, take: TakeEntry, array: np.ndarray) -> PictureRecord:
    """A picture file under its usual name, and its record."""
    path = folder / "pictures" / f"{scene}-{take.seed}-{take.key[:12]}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, compress_level=1)
    status = path.stat()
    return PictureRecord(
        key=take.key,
        scene=scene,
        file=path.relative_to(folder).as_posix(),
        sha256=file_sha256(path),
        bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        record=take.record,
        loras=take.loras,
        provenance=PROVENANCE,
    )


def solid(colour: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> np.ndarray:
    """A flat picture; `size` is width and height."""
    return np.full((size[1], size[0], 3), colour, dtype=np.uint8)


def gradient(take: TakeEntry) -> np.ndarray:
    """An evening sky with a moon, in colours that follow from the take's key."""
    width, height = take.record["width"], take.record["height"]
    dice = np.random.default_rng(int(take.key[:8], 16))
    top, bottom, light = dice.integers(20, 140, 3), dice.integers(90, 250, 3), dice.integers(200, 256, 3)
    y, x = np.mgrid[0:height, 0:width] / np.array([max(height, 1), max(width, 1)]).reshape(2, 1, 1)
    picture = top + (bottom - top) * y[..., None]
    centre, radius = dice.uniform(0.2, 0.8, 2), dice.uniform(0.08, 0.2)
    moon = ((x - centre[0]) * width / height) ** 2 + (y - centre[1] * 0.6) ** 2 < radius**2
    picture[moon] = light
    hills = y > 0.75 + 0.1 * np.sin(x * dice.uniform(4, 12) + dice.uniform(0, 6))
    picture[hills] = top * 0.6
    return picture.clip(0, 255).astype(np.uint8)
