"""Names that are safe in file names, on the command line and in braces: ids of scenes, names of characters."""

from __future__ import annotations

import re
import unicodedata

from renderer.reading.authoring import refuse

MAX_ID = 64
_RESERVED = re.compile(r"(?i:con|prn|aux|nul|com\d|lpt\d)")


def check_name(name: str) -> str:
    """The same name. Raises pydantic's error when it holds anything but letters of any script, digits, - and _."""
    allowed = "Use letters of any script, digits, - and _."
    if not name:
        raise refuse("the name is empty.", allowed)
    if len(name) > MAX_ID or len(name.encode("utf-8", "replace")) > 3 * MAX_ID:
        raise refuse(f"the name is longer than {MAX_ID} characters.", "Shorten it.")
    for character in name:
        if character not in "-_" and unicodedata.category(character) not in ("Nd", "Mn", "Mc"):
            if not character.isalpha():
                raise refuse(f"a name can't hold {_called(character)}.", allowed)
    if not name[0].isalnum() and name[0] != "_":
        raise refuse(f"a name can't begin with {_called(name[0])}.", "Begin it with a letter, a digit or _.")
    if _RESERVED.fullmatch(name):
        raise refuse(f'"{name}" is a name that Windows keeps for itself.', "Choose another.")
    return name


def _called(character: str) -> str:
    if character.isspace():
        return "white space"
    title = unicodedata.name(character, f"U+{ord(character):04X}").lower()
    return f'"{character}" ({title})' if character.isprintable() else f"an invisible character ({title})"
