"""What a LoRA was at steps of its training: `NAME.steps/100.safetensors` beside `NAME.safetensors`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from renderer.kolors.files.lineage import lineage_of
from renderer.kolors.lora.file import lora_sha256

ENDING = ".safetensors"


def steps_folder(lora: Path) -> Path:
    """Where the steps of a LoRA's training lie."""
    return lora.with_name(f"{lora.stem}.steps")


def step_file(lora: Path, step: int) -> Path | None:
    """The LoRA at a step of its training, or None: the file that was kept then, else the finished one if it is that."""
    kept = steps_folder(lora) / f"{step}{ENDING}"
    if kept.is_file():
        return kept
    return lora if _last_step(lora) == step else None


def kept_files(folder: Path) -> Iterator[Path]:
    """All files that were kept at steps of trainings whose LoRAs lie in a folder, or will."""
    return folder.glob(f"*.steps/*{ENDING}")


def kept_of(lora: Path) -> Iterator[Path]:
    """All files that were kept at steps of a LoRA's training."""
    return steps_folder(lora).glob(f"*{ENDING}")


def kept_steps(lora: Path) -> set[int]:
    """The steps at which a LoRA can be had."""
    names = (file.stem for file in kept_of(lora))
    kept = {int(name) for name in names if name.isascii() and name.isdecimal() and str(int(name)) == name}
    last = _last_step(lora)
    return kept if last is None else kept | {last}


def _last_step(lora: Path) -> int | None:
    """The step at which the finished LoRA was saved, as its card or its header says."""
    if not lora.is_file():
        return None
    status = lora.stat()
    told = lineage_of(lora, _sha256(lora, status.st_size, status.st_mtime_ns)).step
    return int(told) if told.isascii() and told.isdecimal() else None


@lru_cache(maxsize=256)
def _sha256(lora: Path, size: int, mtime_ns: int) -> str:
    """Of a LoRA's content, which may be asked for at each of a hundred steps; anew where size or time have changed."""
    return lora_sha256(lora)
