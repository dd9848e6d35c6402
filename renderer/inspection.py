"""From a picture back to the scene: what was asked for, as YAML that a storyboard takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from renderer.errors import PictureError
from renderer.inventory import KEY_DIGITS
from renderer.kolors.card import Precision
from renderer.metadata import (
    INFOTEXT,
    RECORD_TEXT,
    SAMPLER_NAMES,
    SCHEDULES,
    Infotext,
    name_and_step,
    parse_infotext,
    read_record,
    read_texts,
)
from renderer.reading.template import escape
from renderer.take import key_of
from renderer.take_name import shown_number

SETTINGS = ("steps", "guidance", "guidance_interval", "sampler", "cache_interval", "precision", "reproducible")
"""What a record and a storyboard have under the same names."""

DRAFTED = "# Painted as a draft. Without these steps, sampler and intervals it is painted in full.\n"


def picture_record(picture: Path) -> dict[str, Any]:
    """The exact record inside a picture, or what its infotext says where another program made it.

    Raises PictureError for files that are no picture and pictures that carry neither.
    """
    texts = read_texts(picture)
    if RECORD_TEXT in texts:
        return read_record(picture)
    if INFOTEXT in texts:
        return _from_infotext(parse_infotext(texts[INFOTEXT]))
    raise PictureError(
        f"{picture}: carries neither a storyboard record nor an infotext; it can't be told what made it."
    )


def scene_yaml(picture: Path) -> str:
    """A small storyboard, as YAML text, that asks for this picture again."""
    import yaml

    record = picture_record(picture)
    board: dict[str, Any] = {}
    if record.get("model"):
        board["model"] = str(record["model"]).partition("@")[0]
    if "width" in record:
        board["size"] = f"{record['width']}x{record['height']}"
    board |= {name: record[name] for name in SETTINGS if name in record}
    # What the record holds is final text: its braces are literal.
    scene: dict[str, Any] = {"id": _scene_name(picture, record), "prompt": escape(record["prompt"])}
    if record.get("negative"):
        scene["negative"] = escape(record["negative"])
    if "seed" in record:
        scene["seed"] = record["seed"]
    board["scenes"] = [scene]
    text = str(yaml.safe_dump(board, allow_unicode=True, sort_keys=False, width=100))
    drafted = DRAFTED if record.get("draft") else ""
    return drafted + "".join(f"{line}\n" for line in _files_comment(picture, record)) + text


def _files_comment(picture: Path, record: dict[str, Any]) -> Iterator[str]:
    """LoRAs and such as a comment: the record knows their contents, mostly only the infotext what they were called."""
    lists = [name for name in ("loras", "embeddings", "hypernetworks") if record.get(name)]
    if not lists:
        return
    called = parse_infotext(read_texts(picture).get(INFOTEXT, ""))
    yield f"# Painted with {', '.join(lists).replace('loras', 'LoRAs')}; name their files to paint it again:"
    for name in lists:
        yield f"# {name}:"
        names = list({"loras": called.loras, "hypernetworks": called.hypernetworks}.get(name, ()))
        if len(names) != len(record[name]):  # of two files of one name, or an odd one, the infotext tells too little
            names = ["?"] * len(record[name])
        for file, used in zip(names, record[name], strict=True):
            entry = _written(used["name"]) if "name" in used else _entry(file, used)
            yield f"#   - {entry}  # {used.get('sha256', '')[:12]}"


def _entry(file: str, used: dict[str, Any]) -> str:
    """A file with its strength as a storyboard lists it."""
    name, step = name_and_step(file)
    scale = {word: used[word] for word in ("alpha", "rank", "diffsynth_alpha") if word in used}
    values = {"strength": used.get("strength", 1.0)} | ({} if step is None else {"step": step}) | scale
    pairs = (f"{word}: {shown_number(value)}" for word, value in values.items())
    return f"{{name: {_written(name)}, {', '.join(pairs)}}}"


def _written(name: str) -> str:
    """A file's name as a value of YAML: quoted where it would be read as something else, or end the line."""
    import yaml

    plain = yaml.safe_dump([name], default_flow_style=True, allow_unicode=True, width=float("inf")).strip()
    return name if plain == f"[{name}]" else json.dumps(name, ensure_ascii=not name.isprintable())


def _scene_name(picture: Path, record: dict[str, Any]) -> str:
    """The scene's id where the file still has the name we gave it."""
    name, _, digits = picture.stem.rpartition("-")
    scene, _, seed = name.rpartition("-")
    ours = digits == key_of(record)[:KEY_DIGITS] and seed == str(record.get("seed"))
    return scene if ours and scene else "scene-01"


def _from_infotext(info: Infotext) -> dict[str, Any]:
    if not info.prompt:
        raise PictureError("The picture's infotext holds no prompt.")
    record: dict[str, Any] = {"prompt": info.prompt, "negative": info.negative, "loras": []}
    for key, (name, convert) in _FROM_INFOTEXT.items():
        if key in info.settings:
            with suppress(ValueError):
                record[name] = convert(info.settings[key])
    if (sampler := _sampler(info.settings)) is not None:
        record["sampler"] = sampler
    width, _, height = info.settings.get("Size", "").partition("x")
    if width.isdigit() and height.isdigit():
        record |= {"width": int(width), "height": int(height)}
    return record


def _interval(text: str) -> list[float]:
    start, end = map(float, text.split("-"))
    return [start, end]


def _precision(text: str) -> str:
    if text not in get_args(Precision):
        raise ValueError(text)
    return text


_FROM_INFOTEXT: dict[str, tuple[str, Callable[[str], Any]]] = {
    "Steps": ("steps", int),
    "CFG scale": ("guidance", float),
    "Seed": ("seed", int),
    "Guidance interval": ("guidance_interval", _interval),
    "Cache interval": ("cache_interval", int),
    "Precision": ("precision", _precision),
    "Draft": ("draft", "true".__eq__),
}
"""The settings of an infotext that a record has: its name for them, and how they are read (ValueError: not at all)."""


def _sampler(settings: Mapping[str, str]) -> str | None:
    """The sampler that an infotext names, with its schedule where several have the same name."""
    shown = settings.get("Sampler", "").casefold().removesuffix(" karras")  # where older versions wrote the schedule
    found = [name for name, known in SAMPLER_NAMES.items() if known.casefold() == shown]
    schedule = settings.get("Schedule type", "")
    return next((name for name in found if SCHEDULES.get(name) == schedule), found[0] if found else None)
