"""A timeline of stills in FCPXML, which Final Cut Pro and DaVinci Resolve import."""

from __future__ import annotations

from math import gcd
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from renderer.errors import StoryboardError
from renderer.exporting.panels import Panel, Reel, say, size_of
from renderer.exporting.timing import Span
from renderer.looking.text import visible

VERSION = "1.10"
"""Read by Final Cut Pro 10.6 and newer, and by Resolve 18 and newer."""

RATES = (24, 25, 30, 50, 60)
"""The whole frame rates that the editors know."""

LABELS = {
    "en": {"shot": "Shot", "camera": "Camera", "action": "Action", "dialogue": "Dialogue", "note": "Note"},
    "zh": {"shot": "景别", "camera": "机位", "action": "动作", "dialogue": "对白", "note": "备注"},
}
CAPTIONS = {"en": "iTT?captionFormat=ITT.en", "zh": "iTT?captionFormat=ITT.zh-Hans"}
"""The role that says of captions in which format and language they are."""


def write_fcpxml(reel: Reel, draft: Path) -> None:
    """The timeline, dialogue as captions and markers. Raises StoryboardError for a rate that editors don't know."""
    if reel.fps not in RATES:
        known = ", ".join(map(str, RATES[:-1]))
        raise StoryboardError(f"--fps {reel.fps}: editors know timelines of {known} or {RATES[-1]} frames a second.")
    root = timeline(reel)
    indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n'
    draft.write_bytes(head.encode() + tostring(root, encoding="utf-8") + b"\n")


def timeline(reel: Reel) -> Element:
    """The document: resources (formats, and each picture once), then an event with a project with a sequence."""
    root = Element("fcpxml", version=VERSION)
    resources = SubElement(root, "resources")
    _add_sequence_format(resources, reel)
    assets = _add_assets(resources, reel)
    title = str(visible(reel.manifest.title))
    event = SubElement(SubElement(root, "library"), "event", name=title)
    spans = reel.spans()
    sequence = SubElement(
        SubElement(event, "project", name=title),
        "sequence",
        format="r1",
        duration=rational(spans[-1].end, reel.fps),
        tcStart="0s",
        tcFormat="NDF",
    )
    spine = SubElement(sequence, "spine")
    for number, (panel, span) in enumerate(zip(reel.panels, spans, strict=True), 1):
        _add_clip(spine, panel, span, reel, assets.get(panel.picture), number)
    return root


def rational(frames: int, fps: int) -> str:
    """A time in seconds, exactly, as FCPXML writes it: `0s`, `4s`, `7/2s`."""
    common = gcd(frames, fps)
    top, bottom = frames // common, fps // common
    return f"{top}s" if bottom == 1 else f"{top}/{bottom}s"


def _add_sequence_format(resources: Element, reel: Reel) -> None:
    """Full HD, upright for upright pictures; editors fit the stills into it."""
    wide, high = (1920, 1080) if reel.shape[0] >= reel.shape[1] else (1080, 1920)
    attributes = {"id": "r1", "frameDuration": f"100/{reel.fps * 100}s", "width": str(wide), "height": str(high)}
    if wide > high:
        attributes["name"] = f"FFVideoFormat1080p{reel.fps}"
    SubElement(resources, "format", attributes, colorSpace="1-1-1 (Rec. 709)")


def _add_assets(resources: Element, reel: Reel) -> dict[Path | None, str]:
    """The id of each picture's asset; formats of stills have a size and no rate, and a still lasts 0 s of its own."""
    formats: dict[tuple[int, int], str] = {}
    assets: dict[Path | None, str] = {}
    for panel in reel.panels:
        if panel.picture is None or panel.picture in assets:
            continue
        size = size_of(panel.take)
        if size not in formats:
            formats[size] = f"r{len(resources) + 1}"
            name = "FFVideoFormatRateUndefined"
            SubElement(resources, "format", id=formats[size], name=name, width=str(size[0]), height=str(size[1]))
        assets[panel.picture] = f"r{len(resources) + 1}"
        asset = SubElement(resources, "asset", id=assets[panel.picture], name=_text(panel.picture.stem), start="0s")
        asset.attrib |= {"duration": "0s", "hasVideo": "1", "videoSources": "1", "format": formats[size]}
        SubElement(asset, "media-rep", kind="original-media", src=panel.picture.resolve().as_uri())
    return assets


def _add_clip(spine: Element, panel: Panel, span: Span, reel: Reel, asset: str | None, number: int) -> None:
    """A still in its place, or a gap with the reason in its name; what is in it stands in the order of the DTD."""
    fps, language = reel.fps, reel.manifest.language
    name = _text(panel.name if asset else f"{panel.name} ({say(panel, language)})")
    times = {"offset": rational(span.start, fps), "start": "0s", "duration": rational(span.frames, fps)}
    clip = SubElement(spine, "video", ref=asset) if asset else SubElement(spine, "gap")
    clip.attrib |= {"name": name, **times}
    notes = _notes(panel, language)
    if notes:
        SubElement(clip, "note").text = notes
    if dialogue := _text(panel.scene.dialogue.strip()):
        _add_caption(clip, dialogue, span, reel, f"ts{number}")
        SubElement(clip, "marker", start="0s", duration=rational(1, fps), value=dialogue)


def _add_caption(clip: Element, dialogue: str, span: Span, reel: Reel, style: str) -> None:
    attributes = {
        "lane": "1",
        "offset": "0s",
        "name": dialogue,
        "start": "0s",
        "role": CAPTIONS[reel.manifest.language],
    }
    caption = SubElement(clip, "caption", attributes, duration=rational(span.frames, reel.fps))
    text = SubElement(caption, "text", placement="bottom")
    SubElement(text, "text-style", ref=style).text = dialogue
    look = {"font": ".AppleSystemUIFont", "fontSize": "13", "fontFace": "Regular", "fontColor": "1 1 1 1"}
    SubElement(SubElement(caption, "text-style-def", id=style), "text-style", look, backgroundColor="0 0 0 1")


def _notes(panel: Panel, language: str) -> str:
    """What a storyboard says beside the picture, a line for each."""
    labels = LABELS["zh" if language == "zh" else "en"]
    values = {name: _text(getattr(panel.scene, name).strip()) for name in labels}
    return "\n".join(f"{labels[name]}: {value}" for name, value in values.items() if value)


def _text(text: str) -> str:
    """Text as XML can hold it: with � for the characters that it can't."""
    return str(visible(text))
