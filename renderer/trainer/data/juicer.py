"""Runs Data-Juicer's operators over rows, one operator after another, in a process of its own.

Importing Data-Juicer changes how Pillow, logging and multiprocessing behave, and takes seconds: so `juicing.py` starts
this file as a program. Questions and answers are one JSON value a line each:

    {"process": [{name: arguments}], "executor": name}      answered by what is wrong: {"problems": [[index, what]]}
    [{"id": number, "text": caption, "images": [path]}]     answered by a line for each operator,
                            {"operator": index, "limits": {name: number}, "numbers": [[id, {name: number}]],
                            "dropped": [id], "failed": [[id, what]]},
                            and by what is left, {"rows": [[id, text, path]]}, or by {"error": what, "operator": index}
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence

from renderer.trainer.data.engines import Engine, LocalEngine, Operator, RayEngine, Row, built, limits, prepare

MOST_FAILURES = 10
"""Pictures that may each make an operator fail; with more, the operator itself is at fault."""


def main() -> None:
    """Answers the lines of standard input on standard output, which nothing else may write to."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what operators print goes to the log

    def say(answer: object) -> None:
        print(json.dumps(answer, default=_plain), file=answers, flush=True)

    task = json.loads(sys.stdin.readline())
    with_ray = task["executor"] == "ray"
    engine: Engine = RayEngine() if with_ray else LocalEngine()
    operators = [built(process, with_ray) for process in task["process"]]
    say({"problems": [[index, it] for index, it in enumerate(operators) if isinstance(it, str)]})
    ready = [it for it in operators if not isinstance(it, str)]
    for line in sys.stdin:
        for answer in _answers(engine, ready, json.loads(line)):
            say(answer)


def _answers(engine: Engine, operators: Sequence[Operator], rows: list[Row]) -> Iterator[Row]:
    known: dict[str, set[str]] = {}
    for index, operator in enumerate(operators):
        prepare(operator, rows)
        try:
            left, measured, failed = _apply(engine, operator, rows)
        except Exception as error:
            traceback.print_exc()  # into the log
            yield {"error": f"{type(error).__name__}: {error}", "operator": index}
            return
        names = known.setdefault(operator._name, _added(rows, measured))
        here = {row["id"] for row in left} | {identity for identity, _ in failed}
        yield {
            "operator": index,
            "limits": limits(operator),
            "numbers": [[row["id"], _numbers(row, names)] for row in measured] if names else [],
            "dropped": [row["id"] for row in rows if row["id"] not in here],
            "failed": failed,
        }
        rows = left
    yield {"rows": [[row["id"], row["text"], (row["images"] or [""])[0]] for row in rows]}


def _apply(engine: Engine, operator: Operator, rows: list[Row]) -> tuple[list[Row], list[Row], list[tuple[int, str]]]:
    """The rows that an operator leaves; the rows with the numbers that it found; and what it failed on."""
    failed: list[tuple[int, str]] = []
    kinds = {base.__name__ for base in type(operator).__mro__}
    if not rows:
        return [], [], []
    if "Filter" in kinds:
        measured = _spared(lambda some: engine.run(operator, some, measure=True), rows, failed)
        return (engine.run(operator, measured) if measured else []), measured, failed
    if "Mapper" in kinds:
        return _spared(lambda some: engine.run(operator, some), rows, failed), rows, failed
    return engine.run(operator, rows), rows, failed


def _spared(work: Callable[[list[Row]], list[Row]], rows: list[Row], failed: list[tuple[int, str]]) -> list[Row]:
    """What `work` makes of rows, without the few that make it fail.

    They are found by halving, unless first and last fail alike: then the operator is at fault. Raises its error.
    """
    try:
        return work(rows)
    except Exception as error:
        if len(rows) == 1:
            failed.append((rows[0]["id"], f"{type(error).__name__}: {error}"))
        if len(failed) > MOST_FAILURES or isinstance(error, ImportError):
            raise
        if len(rows) == 1:
            return []
        if not failed and str(error) == _error_of(work, rows[:1]) == _error_of(work, rows[-1:]):
            raise
    half = len(rows) // 2
    return _spared(work, rows[:half], failed) + _spared(work, rows[half:], failed)


def _error_of(work: Callable[[list[Row]], list[Row]], rows: list[Row]) -> str | None:
    """What `work` fails with on rows; None where it doesn't."""
    try:
        work(rows)
    except Exception as error:
        return str(error)
    return None


def _numbers(row: Row, names: set[str]) -> Row:
    """What was measured of a row; of what there is one for each of its pictures, that of its only one."""
    found = {name: row["__dj__stats__"].get(name) for name in sorted(names)}
    return {name: it[0] if isinstance(it, list) and len(it) == 1 else it for name, it in found.items()}


def _added(before: list[Row], after: list[Row]) -> set[str]:
    """Names of the numbers that rows have now and did not have before."""
    old, new = ({name for row in rows[:1] for name in row.get("__dj__stats__") or ()} for rows in (before, after))
    return new - old


def _plain(value: object) -> object:
    """NumPy's numbers as Python's, for JSON."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


if __name__ == "__main__":
    main()
