"""What can go wrong in a way that a person can mend.

    StoryboardError             anything an author, or whoever runs the machine, can put right (exit code 2)
    ├── AuthoringError          a file that a person wrote: every problem in it, each with its place
    ├── ModelError              weights that are missing, incomplete or of another kind
    ├── LoraError               a LoRA file that is missing, damaged, foreign, or would run code
    ├── EmbeddingError          the same of an embedding's file
    ├── HypernetworkError       the same of a hypernetwork's file
    ├── RunFolderError          a run folder that is busy, unwritable, full, or made by a newer version
    ├── PictureError            a picture file that does not carry what was asked of it
    ├── ReviewError             a review that is damaged, of another kind or story, or can't be kept or applied
    ├── DataError               a data set to train on that is missing, unfetchable, empty or wholly filtered away
    └── TrainingError           a training that can't start, go on or be resumed

Everything else that is raised is a fault of ours and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from itertools import accumulate
from pathlib import Path

KNOWN_SIGNS = 300
"""Most signs of a list of known words; all keys of a scene fit."""


class StoryboardError(Exception):
    """Something that a person can mend; the message says where, what, and what to do."""


class ModelError(StoryboardError):
    """Weights are missing, incomplete, or not what the story asks for."""


class LoraError(StoryboardError):
    """A LoRA file is missing, damaged, of a foreign kind, or would run code when read."""


class EmbeddingError(StoryboardError):
    """An embedding's file is missing, damaged, of a foreign kind, or would run code when read."""


class HypernetworkError(StoryboardError):
    """A hypernetwork's file is missing, damaged, of a foreign kind, or would run code when read."""


class RunFolderError(StoryboardError):
    """The run folder can't be used: another process has it, it is unwritable or full, or a newer version made it."""


class PictureError(StoryboardError):
    """A picture file does not carry what was asked of it."""


class ReviewError(StoryboardError):
    """A review is damaged, of another kind, story or version, or it can't be kept or applied."""


class DataError(StoryboardError):
    """The data set to train on is missing, can't be fetched or kept, is empty, or is wholly filtered away."""


class TrainingError(StoryboardError):
    """The training can't start, go on, or be resumed."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in an authored file. `line` and `column` count from 1; `where` is like `scenes[2].seed`."""

    file: Path
    line: int
    column: int
    where: str
    what: str
    todo: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}:"
        return " ".join(part for part in (place, f"{self.where}:" if self.where else "", self.what, self.todo) if part)


class AuthoringError(StoryboardError):
    """All the problems of an authored file at once, in the order in which they stand in it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean "sofa"?` when a known word is close to this one, else the known words, else ''.

    Of known words that are too many, those most like this one.
    """
    words = sorted(set(known))
    return closest(word, words) or (f"Known: {_listed(words, word)}." if words else "")


def closest(word: str, known: Iterable[str]) -> str:
    """`Did you mean "sofa"?` when a known word is close to this one, else ''."""
    folded = {candidate.casefold(): candidate for candidate in sorted(set(known))}
    close = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f'Did you mean "{folded[close[0]]}"?' if close else ""


def _listed(words: list[str], word: str) -> str:
    if len(whole := ", ".join(words)) <= KNOWN_SIGNS:
        return whole
    matcher = SequenceMatcher(b=word.casefold())  # which remembers b

    def unlike(known: str) -> float:
        matcher.set_seq1(known.casefold())
        return -matcher.ratio()

    nearest = sorted(words, key=unlike)
    lengths = accumulate(len(each) + len(", ") for each in nearest)
    fitting = sum(length <= KNOWN_SIGNS for length in lengths)
    return ", ".join([*sorted(nearest[: max(1, fitting)]), "…"])
