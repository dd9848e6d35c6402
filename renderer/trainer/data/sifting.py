"""Good pictures sifted by the recipe's filter: what is left of them, and why each of the others was dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue

from renderer.trainer.data.captions import tidy
from renderer.trainer.data.checking import Checked, Needs, check_picture
from renderer.trainer.data.juicing import Juiced, Juicer, Left, Process
from renderer.trainer.data.report import Numbers, Step
from renderer.trainer.data.samples import Finding


@dataclass(frozen=True)
class Sifted:
    """The pictures that are left, in order; findings about the others; what was measured, by name; and each step."""

    left: tuple[Checked, ...]
    findings: tuple[Finding, ...]
    numbers: Mapping[str, Numbers]
    steps: tuple[Step, ...]


def sift(
    juicer: Juicer, good: Sequence[Checked], needs: Needs, thumbs: Path, tell: Callable[[int, int], None]
) -> Sifted:
    """What the juicer's operators leave of good pictures.

    Captions and pictures that operators changed are used as they are then; such a picture is checked again. Raises
    DataError where an operator fails, OSError where small copies can't be written.
    """
    rows, done = juicer.run([(it.listed.caption, it.listed.path) for it in good], tell)
    names = [it.listed.name for it in good]
    first: dict[int, Left] = {}
    for row in rows:
        first.setdefault(row.row, row)
    findings = [finding for juiced in done for finding in _findings(juicer.process, juiced, names)]
    left = []
    for number in sorted(first):
        checked = _changed(good[number], first[number], needs, thumbs)
        left += [checked] if checked.is_good else []
        findings += [] if checked is good[number] else checked.findings
    return Sifted(tuple(left), tuple(findings), _numbers(juicer.process, done, names), _steps(juicer, done, len(good)))


def why(process: Process, juiced: Juiced, row: int) -> str:
    """Why an operator dropped a picture: what it measured, what was asked for, and what it asks for by itself."""
    name, given = operator_of(process, juiced.operator)
    measured = _listed(juiced.numbers.get(row, {})) or f"dropped by {name}"
    own = _listed({key: value for key, value in juiced.limits.items() if key not in given})
    asked = [_listed(given)] if given else []
    asked += [f"by default {own}"] if own and juiced.numbers else []
    return f"{measured}; filter[{juiced.operator}] asks for {', and '.join(asked) or 'nothing particular'}."


def _listed(values: Mapping[str, JsonValue]) -> str:
    return ", ".join(f"{key} {number(value)}" for key, value in values.items())


def operator_of(process: Process, index: int) -> tuple[str, Mapping[str, JsonValue]]:
    """The name and the arguments of an operator."""
    [(name, arguments)] = process[index].items()
    return name, arguments or {}


def number(value: JsonValue) -> str:
    """A number as people write it."""
    if isinstance(value, list):
        return ", ".join(number(it) for it in value) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _findings(process: Process, juiced: Juiced, names: Sequence[str]) -> list[Finding]:
    operator, _ = operator_of(process, juiced.operator)
    dropped = [Finding(names[row], "filtered", operator, why(process, juiced, row)) for row in juiced.dropped]
    failed = [
        Finding(names[row], "filtered", operator, f"filter[{juiced.operator}] failed on it: {error}")
        for row, error in juiced.failed.items()
    ]
    return dropped + failed


def _changed(checked: Checked, left: Left, needs: Needs, thumbs: Path) -> Checked:
    """A picture as operators left it: the same object where they changed nothing."""
    listed = checked.listed
    caption = tidy(left.caption)
    if (caption, left.picture) == (listed.caption, listed.path):
        return checked
    now = replace(listed, path=left.picture, caption=caption, lack="" if caption else "the filter left no caption.")
    if left.picture != listed.path or not caption:
        return check_picture(now, needs, thumbs)
    return replace(checked, listed=now, findings=())


def _numbers(process: Process, done: Sequence[Juiced], names: Sequence[str]) -> dict[str, Numbers]:
    found: dict[str, Numbers] = {}
    for juiced in done:
        for row, numbers in juiced.numbers.items():
            found.setdefault(names[row], {})[operator_of(process, juiced.operator)[0]] = numbers
    return found


def _steps(juicer: Juicer, done: Sequence[Juiced], came: int) -> tuple[Step, ...]:
    steps = []
    for juiced in done:
        name, arguments = operator_of(juicer.process, juiced.operator)
        stayed = came - len(juiced.dropped) - len(juiced.failed)
        steps.append(Step(name, dict(arguments), came, stayed))
        came = stayed
    return tuple(steps)
