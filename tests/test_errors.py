"""What is said of a word that is not known."""

from __future__ import annotations

from renderer.errors import KNOWN_SIGNS, did_you_mean
from renderer.reading.story_file import SceneEntry, StoryFile


def test_all_known_words_are_shown_where_there_is_room():
    for model in (SceneEntry, StoryFile):
        assert did_you_mean("zzzz", model.model_fields) == f"Known: {', '.join(sorted(model.model_fields))}."


def test_of_too_many_known_words_the_nearest_are_shown():
    known = [f"scene-{number:03}" for number in range(900)] + ["garden-path"]
    said = did_you_mean("path", known)
    assert "garden-path" in said and said.endswith(", ….")
    assert len(said) <= KNOWN_SIGNS + len("Known: , ….")


def test_one_long_known_word_is_shown():
    assert did_you_mean("?", ["x" * 400, "y" * 400]) in (f"Known: {'x' * 400}, ….", f"Known: {'y' * 400}, ….")


def test_nothing_known_is_nothing_said():
    assert did_you_mean("x", []) == ""
