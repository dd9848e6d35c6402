"""What a training leaves behind: files that storyboards use, each with the facts of how it came to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from renderer.trainer.export import LoraFacts, write_card
from renderer.trainer.learning.job import Job
from renderer.trainer.module import TrainingModule


def write_result(module: TrainingModule, file: Path, facts: LoraFacts) -> str:
    """Writes what is trained, as it counts, into a file; its sha256. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with module.exported():
        return module.kind.write(file, facts)


def publish(module: TrainingModule, file: Path, facts: LoraFacts, samples: Path | None = None) -> str:
    """As `write_result`, with a card beside the file; its `samples` are a picture. Raises OSError."""
    sha256 = write_result(module, file, facts)
    write_card(file, replace(facts, date=datetime.now(UTC).isoformat(timespec="seconds")), sha256, samples)
    return sha256


def facts_of(module: TrainingModule, job: Job, step: int, losses: Mapping[str, float]) -> LoraFacts:
    """What is known of what is trained after so many steps."""
    recipe = job.recipe
    facts = LoraFacts(
        kind=recipe.kind,
        name=recipe.name,
        title=recipe.title,
        base_model=recipe.edition,
        recipe=recipe.path.name,
        recipe_digest=recipe.digest,
        data_digest=job.dataset.digest,
        step=step,
        steps=recipe.train.steps,
        losses=dict(losses),
        trigger_words=recipe.trigger_words,
        licence=recipe.licence,
        resolution=(recipe.image.width, recipe.image.height),
        seed=recipe.train.seed,
        pictures=sum(not sample.regularizing for sample in job.dataset.samples),
    )
    return module.kind.described(facts)
