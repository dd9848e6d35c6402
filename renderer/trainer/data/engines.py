"""Data-Juicer itself: its operators built, and run over rows on this machine or on a Ray cluster.

Only `juicer.py` imports this, in a process of its own.
"""

from __future__ import annotations

import os
import shlex
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, Protocol

Row = dict[str, Any]
"""`id`, `text`, `images`, `captioned` (the text in Data-Juicer's form for comparing it with the picture), and what
operators add."""

FEW = 2000
"""Rows below which worker processes cost more than they bring."""
UNBOUNDED = 2**40
"""Defaults from here on, such as 1 TB for a picture's file, bound nothing."""
COMPARE = ("image_text_", "phrase_grounding_")
"""Operators, by how their names begin, that compare picture and caption. They find the caption by a mark for the
picture in the text, and pass over a row without one."""

KINDS = frozenset({"Filter", "Mapper", "Deduplicator", "Selector"})
"""Classes of operators that keep one row a picture. Groupers, aggregators and pipelines don't."""


class Operator(Protocol):
    """What is used of Data-Juicer's operators. `alone`: this process may do all of its work."""

    _name: str
    alone: bool
    auto_op_parallelism: bool
    num_proc: int | None

    def run(self, dataset: object, *, reduce: bool = ...) -> Any: ...  # noqa: ANN401


class Engine(Protocol):
    """Where operators run."""

    def run(self, operator: Operator, rows: list[Row], *, measure: bool = False) -> list[Row]:
        """The rows that an operator leaves; all of them, with its numbers, to `measure`."""
        ...


class LocalEngine:
    """Data-Juicer on this machine."""

    def __init__(self) -> None:
        package = _data_juicer()
        # Data-Juicer 1.6.1's `core` imports Ray, or would install it. What is used of it does without: a plain
        # package in its place leads there.
        core = ModuleType("data_juicer.core")
        core.__path__ = [str(Path(package.__file__ or "").parent / "core")]
        sys.modules["data_juicer.core"] = core
        self.rows = import_module("data_juicer.core.data").NestedDataset

    def run(self, operator: Operator, rows: list[Row], *, measure: bool = False) -> list[Row]:
        dataset = operator.run(self.rows.from_list(rows), **({"reduce": False} if measure else {}))
        return [dict(row) for row in dataset]  # its to_list leaves JSON undecoded up to datasets 4.8


class RayEngine:
    """Data-Juicer on a Ray cluster: that of RAY_ADDRESS, else one of this machine's processes."""

    def __init__(self) -> None:
        os.environ["RAY_JOB"] = "1"  # Data-Juicer's own sign that it runs on Ray
        self.ray = import_module("ray")
        self.ray.init(log_to_driver=False, include_dashboard=False)
        _data_juicer()
        self.rows = import_module("data_juicer.core.data.ray_dataset").RayDataset

    def run(self, operator: Operator, rows: list[Row], *, measure: bool = False) -> list[Row]:
        dataset = self.rows(self.ray.data.from_items(rows))
        return list(dataset.process([operator], stats_only=measure).data.take_all())


def _data_juicer() -> ModuleType:
    """The package, which from here on installs nothing by itself."""
    package = import_module("data_juicer")
    loader = import_module("data_juicer.utils.lazy_loader").LazyLoader

    def refuse(wanted: str, pip_args: object = None) -> NoReturn:
        raise ImportError(f"it needs a Python package that is not there. Run: pip install {shlex.quote(wanted)}")

    loader._install_package = staticmethod(refuse)
    return package


def built(process: dict[str, dict[str, Any] | None], with_ray: bool) -> Operator | str:
    """An operator, or why there is none."""
    preflight = import_module("data_juicer.core.preflight")
    [(name, given)] = process.items()
    arguments = dict(given or {})
    if name.startswith(COMPARE):
        arguments.setdefault("text_key", "captioned")
    try:
        preflight.pre_instantiation_check([{name: arguments}])
        made = import_module("data_juicer.ops").OPERATORS.modules[name]
        if not KINDS & {base.__name__ for base in made.__mro__}:
            return "it makes one row of many pictures, or none of them: it has no place in a data set's filter."
        if name.startswith("ray_") and not with_ray:
            return "it works with Ray only: write `executor: ray`."
        # Its other way loses a batch of up to 1000 rows for one that fails.
        operator: Operator = made(**arguments | {"skip_op_error": False})
    except preflight.PipelineConfigError as error:
        return "; ".join(_told(problem) for problem in error.errors)
    except Exception as error:
        return str(error) or type(error).__name__
    operator.alone = not with_ray and not {"num_proc", "auto_op_parallelism"} & arguments.keys()
    return operator


def _told(problem: Any) -> str:  # noqa: ANN401
    """A problem that Data-Juicer found, with what may be meant."""
    meant = ", ".join(problem.suggestions)
    return f"{problem.message}.{f' Did you mean {meant}?' if meant else ''}"


def prepare(operator: Operator, rows: list[Row]) -> None:
    """Writes the captions in the form for comparing, and has few rows worked on by this process alone."""
    tokens = import_module("data_juicer.utils.mm_utils").SpecialTokens
    for row in rows:
        row["captioned"] = f"{tokens.image} {row['text']} {tokens.eoc}"
    if operator.alone and len(rows) < FEW:
        operator.auto_op_parallelism, operator.num_proc = False, None


def limits(operator: Operator) -> dict[str, float]:
    """The bounds that an operator goes by, those of its defaults among them; what bounds nothing is left out."""
    bounds = {name: value for name, value in vars(operator).items() if name.startswith(("min_", "max_"))}
    numbers = {name: it for name, it in bounds.items() if isinstance(it, int | float) and not isinstance(it, bool)}
    return {name: it for name, it in numbers.items() if it not in (0, 1) and abs(it) < UNBOUNDED}
