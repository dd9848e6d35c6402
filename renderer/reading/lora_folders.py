"""Where the LoRA files of a story are looked for: by name in folders, by path beside the file that names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from renderer.kolors.lora.file import ENDINGS, find_lora
from renderer.reading.lora_steps import steps_folder

_PACKAGE = Path(__file__).resolve().parent.parent


def lora_folders(story: Path, given: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Folders in which a LoRA is looked for by name, the first that has it wins.

    Those given, the storyboard's own, `lora_weights/` beside it and in the working folder, then what ships with the
    package (in a checkout: its `lora_weights/`).
    """
    beside = story.parent
    shipped = (_PACKAGE / "lora_weights", _PACKAGE.parent / "lora_weights")
    folders = (*given, beside, beside / "lora_weights", Path("lora_weights"), *shipped)
    return tuple(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def find_file(name: str, beside: Path, folders: Sequence[Path]) -> Path | None:
    """The LoRA file that a storyboard names, or None; a name with a slash is a path relative to `beside`."""
    try:
        if "/" in name or "\\" in name:
            return beside / name if (beside / name).is_file() else None
        return find_lora(name, (*folders, beside))
    except (OSError, ValueError):
        return None


def find_trained(name: str, beside: Path, folders: Sequence[Path]) -> Path | None:
    """Where the file of a LoRA lies, or will lie once its training has ended: the first folder that has it, or steps
    of it, wins. So a training that goes on in the working folder comes before a LoRA that ships under the same name.
    """
    try:
        if "/" in name or "\\" in name:
            return find_file(name, beside, folders) or _begun(name, beside)
        places = (*folders, beside)
        found = (find_file(name, place, (place,)) or _begun(name, place) for place in places)
        return next((file for file in found if file), None)
    except (OSError, ValueError):
        return None


def _begun(name: str, folder: Path) -> Path | None:
    file = folder / f"{name.removesuffix('.safetensors')}.safetensors"
    return file if steps_folder(file).is_dir() else None


def known_loras(folders: Sequence[Path]) -> list[str]:
    """Names of the LoRA files in folders."""
    return sorted({file.stem for folder in folders for file in folder.glob("*") if file.suffix in ENDINGS})
