"""What a result that is no LoRA says of its training, in its own header; a LoRA's speaks as other programs read it."""

from __future__ import annotations

from renderer.trainer.export import LoraFacts


def stated(facts: LoraFacts) -> dict[str, str]:
    """The facts as texts by name, as `lineage.py` reads them; those that aren't known are left out.

    No date is among them: the same training gives the same file.
    """
    width, height = facts.resolution
    header = {
        "kind": facts.kind,
        "name": facts.name,
        "title": facts.title,
        "base_model": facts.base_model,
        "recipe": facts.recipe,
        "recipe_digest": facts.recipe_digest,
        "data_digest": facts.data_digest,
        "step": str(facts.step),
        "steps": str(facts.steps),
        "seed": str(facts.seed),
        "pictures": str(facts.pictures),
        "resolution": f"{width}x{height}",
        "trigger_words": ", ".join(facts.trigger_words),
        "licence": facts.licence,
    }
    return {name: value for name, value in header.items() if value}
