"""Whether DreamBooth's words are apart: the one that calls for the subject, and those that call for its class."""

from __future__ import annotations

from pathlib import Path

from renderer.kolors.text import is_piece
from renderer.reading.findings import Findings
from renderer.reading.yaml_file import Where
from renderer.trainer.recipes.recipe_file import RecipeFile


def check_triggers(file: RecipeFile, folder: Path, findings: Findings) -> None:
    """Warns of trigger words that mean something already, that the class prompt says, or that the caption lacks."""
    entry, caption, words = file.dreambooth, file.data.caption, file.trigger_words
    if file.kind != "dreambooth" or entry is None or not words:
        return
    for index, word in enumerate(words):
        where: Where = ("trigger_words", index)
        if word in entry.class_prompt:
            what = f'the class prompt says "{word}", too: what it calls for is learned and held back at once.'
            findings.warn(where, what, "Let the class prompt name the class alone, such as: a girl.")
        elif is_piece(folder, word):
            what = f'the model knows "{word}" as a word of its own, whose meaning goes along.'
            findings.warn(where, what, "Take a word that nobody uses, such as a made-up name.")
    if caption is not None and not any(word in caption for word in words):
        what = f"nothing in it calls for what is learned: {' or '.join(words)}."
        findings.warn(("data", "caption"), what, f"Write {words[0]} before the class, such as: {words[0]} girl.")
