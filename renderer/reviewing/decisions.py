"""`review.json`: what a reviewer decided about each take, read with care, merged by time, written under a lock."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from filelock import FileLock, Timeout
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
)

from renderer.errors import ReviewError
from renderer.files import write_atomically
from renderer.take_name import TakeName

REVIEW_FORMAT = 1
REVIEW_FILE = "review.json"
REVIEW_KIND = "storyboard-review"
LOCK_FILE = ".review.lock"
LOCK_SECONDS = 10.0
"""Longest wait for another process that is writing the same review: a write takes a few milliseconds."""
MAX_BYTES = 64 * 2**20
"""Largest review that is read: a hundred thousand takes with a long note each."""
SHOWN = 5
LONG_AGO = "1970-01-01T00:00:00Z"
"""When a decision without a time was made: before all that have one, and a time to sheets, too."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("it holds a control character")
    return text


def _whole_characters(text: object) -> object:
    """A browser may cut a character of two halves in the middle; half a character can't be written."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(text, str) else text


def _or_long_ago(text: object) -> object:
    return LONG_AGO if text == "" else text


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Line = Annotated[str, Field(max_length=10_000), AfterValidator(_line)]
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[
    str,
    BeforeValidator(_or_long_ago),
    Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$"),
    AfterValidator(_moment),
]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Decision(_Strict):
    """What was decided about one take. `at` is the time of its last change, ISO 8601 in UTC; whoever writes a review
    by hand may leave it out.

    `strength` and `step` are there where the take is one of a sweep that has them.
    """

    scene: Line
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    strength: Annotated[float, Field(allow_inf_nan=False)] | None = None
    step: Annotated[int, Field(ge=0)] | None = None
    flag: Literal["pick", "reject", "none"] = "none"
    stars: Annotated[int, Field(ge=0, le=5)] = 0
    note: Annotated[str, BeforeValidator(_whole_characters), Field(max_length=1_000_000)] = ""
    at: Moment = LONG_AGO

    @model_serializer(mode="wrap")
    def _without_blanks(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if value is not None}

    @property
    def name(self) -> TakeName:
        """What the take was called."""
        return TakeName(self.seed, self.strength, self.step)

    @property
    def moment(self) -> datetime:
        """When it was last changed; times are compared as such, since texts may have fractions of any length."""
        return datetime.fromisoformat(self.at)


Decisions = dict[Key, Decision]


class Review(_Strict):
    """All decisions about a story, by the keys of its takes. `story` is the name of its run folder."""

    format: Literal[1] = 1
    kind: Literal["storyboard-review"] = "storyboard-review"
    story: Line
    title: Annotated[str, BeforeValidator(_whole_characters)] = ""
    source: Line = ""
    decisions: Decisions = {}


_DECISIONS: TypeAdapter[dict[str, Decision]] = TypeAdapter(Decisions)


def read_review(path: Path) -> Review:
    """The review in a file. Raises ReviewError for a file that is gone, damaged, no review, or of a newer version."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        todo = f" {_NO_REVIEW_YET}" if isinstance(error, FileNotFoundError) else ""
        raise ReviewError(f"{path}: the review can't be read: {reason}.{todo}") from error
    if len(data) > MAX_BYTES:
        raise ReviewError(f"{path}: the file is larger than {MAX_BYTES // 2**20} MB; no review is.")
    return _review_of(path, data)


def read_decisions(content: object, name: str = "the decisions") -> dict[str, Decision]:
    """Decisions by key from JSON values, as a browser sends them. Raises ReviewError, saying what is wrong."""
    try:
        return _DECISIONS.validate_python(content)
    except ValidationError as error:
        raise ReviewError(f"{name}: {_in_words(error)}") from error


def merge(kept: Mapping[str, Decision], coming: Mapping[str, Decision]) -> dict[str, Decision]:
    """Both together: per key the later one (of two of one moment the kept one), and one pick in a scene."""
    merged = dict(kept)
    for key, decision in coming.items():
        if key not in merged or decision.moment > merged[key].moment:
            merged[key] = decision
    return one_pick_each(merged)


def one_pick_each(decisions: Mapping[str, Decision]) -> dict[str, Decision]:
    """The same decisions, but of several picks in a scene only the latest: it un-picked the others when it was set."""
    latest: dict[str, tuple[datetime, str]] = {}
    for key, decision in decisions.items():
        if decision.flag == "pick":
            latest[decision.scene] = max(latest.get(decision.scene, (decision.moment, key)), (decision.moment, key))
    settled = dict(decisions)
    for key, decision in decisions.items():
        if decision.flag == "pick" and (winner := latest[decision.scene][1]) != key:
            settled[key] = decision.model_copy(update={"flag": "none", "at": decisions[winner].at})
    return settled


def keep_decisions(folder: Path, coming: Mapping[str, Decision], *, title: str = "", source: str = "") -> Review:
    """The review of a run folder with these decisions merged in, on disk when this returns.

    Reads, merges and writes under a lock, so that several tabs and servers lose nothing. Raises ReviewError where
    what is on disk is not a review (it is left as it is) or nothing can be written.
    """
    path = folder / REVIEW_FILE
    try:
        with FileLock(folder / LOCK_FILE, timeout=LOCK_SECONDS):
            found = read_review(path) if path.exists() else None
            before = found or Review(story="")
            about = {"story": folder.resolve().name, "title": title or before.title, "source": source or before.source}
            after = before.model_copy(update={**about, "decisions": merge(before.decisions, coming)})
            if after != found:
                write_atomically(path, review_text(after).encode())
            return after
    except Timeout:
        raise ReviewError(f"{path}: another process has been writing to it for {LOCK_SECONDS:.0f} seconds.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReviewError(f"{path}: the review can't be written: {reason}. What was there before is safe.") from error


def review_text(review: Review) -> str:
    """A review as it stands in its file."""
    return json.dumps(review.model_dump(), ensure_ascii=False, indent=1) + "\n"


def _review_of(path: Path, data: bytes) -> Review:
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ReviewError(_no_json(path, data, error)) from error
    except (ValueError, RecursionError) as error:
        raise ReviewError(f"{path}: {_NOT_A_REVIEW}") from error
    if not isinstance(content, dict) or content.get("kind") != REVIEW_KIND:
        raise ReviewError(f"{path}: {_NOT_A_REVIEW}")
    made_by = content.get("format")
    if isinstance(made_by, int) and made_by > REVIEW_FORMAT:
        raise ReviewError(
            f"{path}: a newer version of the renderer made this review (format {made_by}, this one reads "
            f"{REVIEW_FORMAT}). Update with `pip install -U kolors-storyboard`."
        )
    try:
        review = Review.model_validate(content)
    except ValidationError as error:
        raise ReviewError(f"{path}: the review is damaged: {_in_words(error)}") from error
    return review.model_copy(update={"decisions": one_pick_each(review.decisions)})


_NO_REVIEW_YET = "Make one with `storyboard review STORY.yaml`, or on the sheet with the button Download."
_NOT_A_REVIEW = "this is not a review. A review is the review.json that the sheet saves or downloads."


def _no_json(path: Path, data: bytes, error: json.JSONDecodeError) -> str:
    if REVIEW_KIND.encode() not in data:
        return f"{path}: {_NOT_A_REVIEW}"
    return (
        f"{path}:{error.lineno}:{error.colno}: the review is damaged: {error.msg}. "
        f"Save it from the sheet again, or mend it there."
    )


def _in_words(error: ValidationError) -> str:
    """What pydantic found: first the keys that are not known, then the rest, `SHOWN` of them in all."""
    found = error.errors(include_url=False, include_context=False)
    unknown = [_place(each["loc"]) for each in found if each["type"] == "extra_forbidden"]
    words = [f"unknown {'key' if len(unknown) == 1 else 'keys'} {_listed(unknown)}"] if unknown else []
    rest = [each for each in found if each["type"] != "extra_forbidden"]
    words += [f"{_place(each['loc'])}: {each['msg']}" for each in rest[:SHOWN]]
    words += [f"… and {len(rest) - SHOWN} more"] if len(rest) > SHOWN else []
    return "; ".join(words) + "."


def _place(where: tuple[Any, ...]) -> str:
    """A path in the file; keys of takes, 64 digits, by their first twelve."""
    steps = (str(step) for step in where if step != "[key]")
    shown = ".".join(step[:12] + "…" if len(step) == 64 else step[:80] for step in steps)
    return "".join(character if character.isprintable() else "?" for character in shown) or "the file"


def _listed(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
