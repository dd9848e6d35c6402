"""Data-Juicer from outside: its process started, asked, listened to, and ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from renderer.errors import DataError

RUNS_CODE = frozenset({"python_lambda_mapper", "python_file_mapper"})
REMOTE_CODE = "trust_remote_code"
PROGRAM = "renderer.trainer.data.juicer"
_ROOT = Path(__file__).parents[3]
"""Where that is found, whether it is installed or not."""
LOG = "log.txt"
NEEDS_MORE = 'Training needs more packages. Run: pip install "kolors-storyboard[train]"'
_QUIET = {
    "PIP_DRY_RUN": "1",  # some operators call pip themselves: it then only says what it would do
    "PIP_NO_INDEX": "1",
    "UV_OFFLINE": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}

Process = Sequence[Mapping[str, Mapping[str, Any] | None]]


def refusals(process: Process) -> list[tuple[int, str]]:
    """What is not run for a stranger's recipe, or would not do what it says, each with the operator's index."""
    found = []
    for index, entry in enumerate(process):
        for name, arguments in entry.items():
            if name in RUNS_CODE or (arguments or {}).get(REMOTE_CODE):
                found.append((index, "it would run code that the recipe brings or names: that is not done here."))
            for key, value in (arguments or {}).items():
                if key in ("min_size", "max_size") and isinstance(value, str) and "." in value:
                    what = (
                        f'{name} takes no heed of the point in {key} "{value}": write a whole number, such as 1536KB.'
                    )
                    found.append((index, what))
    return found


@dataclass(frozen=True, slots=True)
class Juiced:
    """What an operator did, by the numbers of rows: what it measured, which it dropped, and why it failed on which.

    `limits` are the bounds that it went by, as far as they are numbers.
    """

    operator: int
    limits: dict[str, float]
    numbers: dict[int, dict[str, Any]]
    dropped: tuple[int, ...]
    failed: dict[int, str]


@dataclass(frozen=True, slots=True)
class Left:
    """A row that is left: its number, its caption and picture, either of which operators may have changed."""

    row: int
    caption: str
    picture: Path


class Juicer:
    """A running Data-Juicer. `folder` is its own, for its log; a `with` block ends it.

    Raises DataError where it, or Ray for the executor `ray`, isn't installed.
    """

    def __init__(self, process: Process, executor: str, folder: Path) -> None:
        if find_spec("data_juicer") is None:
            raise DataError(NEEDS_MORE)
        if executor == "ray" and find_spec("ray") is None:
            raise DataError("`executor: ray` needs Ray, which is not installed. Run: pip install ray")
        self.process = process
        self.task = {"process": [dict(entry) for entry in process], "executor": executor}
        self.folder = folder

    def __enter__(self) -> Juicer:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOG).open("wb") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-P", "-m", PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | _QUIET | self._places(),
                cwd=self.folder,
                text=True,
                encoding="utf-8",
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            self.running.terminate()
        with suppress(OSError):
            self.running.communicate()

    def problems(self) -> list[tuple[int, str]]:
        """What is wrong with the operators, each with its index: [] when all are built. To be asked first."""
        self._ask(self.task)
        return [(index, what) for index, what in self._hear()["problems"]]

    def run(
        self, rows: Sequence[tuple[str, Path]], tell: Callable[[int, int], None]
    ) -> tuple[list[Left], list[Juiced]]:
        """What is left of rows of captions and pictures, and what each operator did. Raises DataError."""
        self._ask([{"id": row, "text": caption, "images": [str(path)]} for row, (caption, path) in enumerate(rows)])
        done: list[Juiced] = []
        while True:
            answer = self._hear()
            if "error" in answer:
                raise DataError(f"{self._named(answer['operator'])}: {answer['error']}\n{self._log()}")
            if "rows" in answer:
                return [Left(row, caption, Path(picture)) for row, caption, picture in answer["rows"]], done
            numbers, failed = dict(answer["numbers"]), dict(answer["failed"])
            done.append(Juiced(answer["operator"], answer["limits"], numbers, tuple(answer["dropped"]), failed))
            tell(len(done), len(self.process))

    def _places(self) -> dict[str, str]:
        """Where this program is, and where Data-Juicer keeps what it makes, pictures among it: not beside the data."""
        folder = self.folder.absolute()
        return {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
            "HF_DATASETS_CACHE": str(folder / "cache"),
            "DJ_PRODUCED_DATA_DIR": str(folder / "pictures"),
        }

    def _named(self, index: int) -> str:
        return f"filter[{index}], {next(iter(self.process[index]))}"

    def _log(self) -> str:
        return f"Data-Juicer's log: {self.folder / LOG}"

    def _ask(self, question: object) -> None:
        assert self.running.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, which is told when its answer is missing
            print(json.dumps(question), file=self.running.stdin, flush=True)

    def _hear(self) -> dict[str, Any]:
        assert self.running.stdout is not None
        line = self.running.stdout.readline()
        if not line.endswith("\n"):
            code = self.running.wait()
            raise DataError(f"Data-Juicer broke off (exit code {code}{_last_line(self.folder / LOG)}). {self._log()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f": {lines[-1][:300]}" if lines else ""
