"""The shot list: a table with a line for each scene, for spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from renderer.exporting.panels import Panel, Reel, say
from renderer.exporting.timing import Span, spans, timecode
from renderer.prompts import text_of
from renderer.take_name import shown_number

HEADINGS = {
    "en": (
        *("Scene", "ID", "Shot", "Camera", "Action", "Dialogue", "Note", "Duration (s)", "Start (s)", "Timecode"),
        *("Running time (s)", "Picked", "Prompt", "Negative prompt", "Seed", "Picture", "Key"),
    ),
    "zh": (
        *("镜号", "名称", "景别", "机位", "动作", "对白", "备注", "时长（秒）", "开始（秒）", "时间码"),
        *("累计（秒）", "选定", "提示词", "负面提示词", "种子", "画面", "键"),
    ),
}
SWEPT = {"en": ("LoRA strength", "LoRA step"), "zh": ("LoRA 强度", "LoRA 训练步")}
"""Behind the seed, where the story tries out a LoRA."""
PICKED = {"en": "yes", "zh": "是"}

FORMULA = tuple("=+-@＝＋－＠")
"""Spreadsheets take a cell that begins so for a formula, full-width forms too, and run what it says."""
_NEGATIVE = re.compile(r"-[0-9]+(\.[0-9]+)?(e-[0-9]+)?")
"""A negative number, such as a strength, which is no formula."""

MILLISECONDS = 1000


def write_csv(reel: Reel, draft: Path) -> None:
    """The shot list as CSV: UTF-8 with a BOM, so that Excel reads Chinese; times count scenes, not their takes."""
    draft.write_bytes(shot_list(reel))


def shot_list(reel: Reel) -> bytes:
    """The content of the CSV file."""
    language = reel.manifest.language
    text = io.StringIO(newline="")
    table = csv.writer(text)
    scenes = reel.manifest.scenes
    swept = any(scene.swept for scene in scenes)
    table.writerow(_headings(language, swept))
    durations = [scene.duration for scene in scenes]
    exact = dict(zip((scene.id for scene in scenes), spans(durations, MILLISECONDS), strict=True))
    frames = dict(zip((scene.id for scene in scenes), spans(durations, reel.fps), strict=True))
    for panel in reel.panels:
        code = timecode(frames[panel.scene.id].start, reel.fps)
        table.writerow([defused(cell) for cell in _cells(panel, exact[panel.scene.id], code, language, swept)])
    return text.getvalue().encode("utf-8-sig", "replace")


def defused(cell: str) -> str:
    """The same text, with an apostrophe before it where a spreadsheet would take it for a formula."""
    if _NEGATIVE.fullmatch(cell):
        return cell
    return f"'{cell}" if cell.lstrip().startswith(FORMULA) or cell.startswith(("\t", "\r", "\n")) else cell


def _headings(language: str, swept: bool) -> tuple[str, ...]:
    headings = HEADINGS[language]
    behind = headings.index({"en": "Seed", "zh": "种子"}[language]) + 1
    return (*headings[:behind], *(SWEPT[language] if swept else ()), *headings[behind:])


def _cells(panel: Panel, span: Span, code: str, language: str, swept: bool) -> Iterator[str]:
    scene, take = panel.scene, panel.take
    yield from (panel.number, scene.id, scene.shot, scene.camera, scene.action, scene.dialogue, scene.note)
    yield from (_seconds(span.frames), _seconds(span.start), code, _seconds(span.end))
    yield PICKED[language] if take.key == scene.pick else ""
    yield from (text_of(take.prompt), text_of(take.negative), str(take.seed))
    if swept:
        yield from ("" if value is None else shown_number(value) for value in (take.strength, take.step))
    yield panel.file or f"({say(panel, language)})"
    yield take.key


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / MILLISECONDS:.3f}".rstrip("0").rstrip(".")
