"""`kind: dreambooth`: a LoRA of one subject, which is kept from becoming all that its class means.

Each batch of the subject's pictures goes with one of its class's, and a step's loss is mean(subject) + λ·mean(class),
λ being the prior weight (Ruiz et al. 2022, eq. 2; Kwai-Kolors/Kolors, dreambooth/train.sh: λ = 0.7).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from renderer.take import Painter
from renderer.trainer.dataset import Dataset, Sample
from renderer.trainer.export import LoraFacts
from renderer.trainer.kinds.class_painting import entry_of
from renderer.trainer.kinds.class_pictures import class_pictures
from renderer.trainer.kinds.lora import LoraKind
from renderer.trainer.learning.checkpoints import require_same_recipe
from renderer.trainer.learning.draws import Group
from renderer.trainer.learning.job import Job
from renderer.trainer.recipe import Recipe


class DreamboothKind(LoraKind):
    """A LoRA that is trained on a subject and, beside it, on what the model knew of the subject's class.

    With a prior weight of 0 it is `kind: lora`, bit for bit, and no class pictures are needed.
    """

    @classmethod
    def completed(cls, job: Job, painter: Callable[[], Painter]) -> Dataset:
        """With class pictures after the subject's; those that the recipe's folder lacks are painted."""
        if not entry_of(job.recipe).prior_weight:
            return job.dataset
        require_same_recipe(
            job.recipe, job.checkpoints
        )  # before anything is painted for a training that can't be gone on with
        added = class_pictures(job, painter)
        return replace(
            job.dataset,
            samples=job.dataset.samples + added.samples,
            digest=added.digest_with(job.dataset.digest),
            findings=job.dataset.findings + added.findings,
        )

    @classmethod
    def groups(cls, recipe: Recipe, samples: Sequence[Sample]) -> tuple[Group, ...]:
        """The subject's pictures, and those of its class with the prior weight."""
        subject = Group(tuple(sample for sample in samples if not sample.regularizing))
        of_class = tuple(sample for sample in samples if sample.regularizing)
        return (subject, Group(of_class, entry_of(recipe).prior_weight)) if of_class else (subject,)

    def described(self, facts: LoraFacts) -> LoraFacts:
        """With the class beside rank and alpha."""
        entry = entry_of(self.recipe)
        return replace(
            super().described(facts),
            class_prompt=entry.class_prompt,
            class_pictures=entry.class_pictures if entry.prior_weight else 0,
            prior_weight=entry.prior_weight,
        )
