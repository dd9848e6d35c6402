"""The shape of a take's record, checked where a picture from anywhere brings one along."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class _Part(BaseModel):
    # What a newer version has added is no fault.
    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, defer_build=True)


class _File(_Part):
    sha256: str
    name: str = ""
    strength: float = 1.0
    alpha: float | None = None
    rank: int | None = None
    diffsynth_alpha: float | None = None


class _Record(_Part):
    prompt: str
    negative: str = ""
    model: str = ""
    sampler: str = ""
    width: int
    height: int
    steps: int
    guidance: float
    seed: int
    guidance_interval: list[float] = []
    cache_interval: int = 1
    draft: bool = False
    loras: list[_File] = []
    embeddings: list[_File] = []
    hypernetworks: list[_File] = []


def is_record(value: Any) -> bool:  # noqa: ANN401
    """Whether this is a record such as `Take.record` makes: all that it must say, and each value of its type."""
    try:
        _Record.model_validate(value)
    except ValidationError:
        return False
    return True
