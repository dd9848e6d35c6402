"""A trainer that learns nothing, at once: what the command does with what it is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from renderer.errors import TrainingError
from renderer.trainer.dataset import Dataset, Finding, Sample
from renderer.trainer.learning.progress import TrainingProgress
from renderer.trainer.recipe import Recipe


@dataclass(frozen=True)
class FakeResult:
    """As `renderer.trainer.fit.Result`, which needs torch and Lightning."""

    file: Path
    losses: dict[str, float]


@dataclass
class FakeTrainer:
    """Trains nothing, in `steps` steps: writes a page and a result that says which recipe it is of.

    `lacks` is what the machine lacks; `stop_after` so many steps it is interrupted, as by Ctrl-C.
    """

    steps: int = 4
    lacks: str = ""
    stop_after: int | None = None
    found: tuple[Finding, ...] = ()
    asked: list[str] = field(default_factory=list)

    def require(self, recipe: Recipe, *, data_only: bool) -> None:
        self.asked.append("require the data's tools" if data_only else "require")
        if self.lacks:
            raise TrainingError(self.lacks)

    def prepare(self, recipe: Recipe, folder: Path, tell: Callable[[str, int, int], None]) -> Dataset:
        self.asked.append(f"prepare {folder}")
        tell("checking", 0, 2)
        tell("checking", 2, 2)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.html").write_text("the data")
        sample = Sample("a.png", Path("a.png"), "x", 64, 64, "0" * 64)
        return Dataset((sample,), "0" * 64, self.found)

    def train(self, recipe: Recipe, run: Path, out: Path, tell: Callable[[TrainingProgress], None]) -> FakeResult:
        self.asked.append(f"train {run} {out}")
        (run / "checkpoints").mkdir(parents=True, exist_ok=True)
        for step in range(self.steps):
            tell(TrainingProgress("training", step, self.steps, 0.5))
            (run / "index.html").write_text(f"{step}")
            (run / "checkpoints" / "last.ckpt").write_text(f"{step}")
            if step == self.stop_after:
                raise KeyboardInterrupt
        tell(TrainingProgress("training", self.steps, self.steps, 0.25))
        out.mkdir(parents=True, exist_ok=True)
        file = out / f"{recipe.name}.safetensors"
        file.write_text("learned")
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        file.with_suffix(".json").write_text(json.dumps({"recipe": recipe.path.name, "sha256": sha256}))
        return FakeResult(file, {"train": 0.25, "validation": 0.5})
