"""How a caption that doesn't have a new word comes to say it."""

from __future__ import annotations

import re

CHINESE = ("{}", "{}的图片", "一张{}的图片", "一幅{}的插画", "画着{}的插画")
ENGLISH = ("{}", "a picture of {}", "an image of {}", "an illustration of {}", "a drawing of {}")
"""What says the word, the plainest first. Several, so that it learns to mean the same in any company; and neutral, for
it may be of a person, a thing or a style."""

_CHINESE = re.compile("[\u3400-\u9fff]")


def with_word(word: str, caption: str) -> tuple[str, ...]:
    """The ways to say a word before a caption, in the caption's language; without a caption alone, in both languages.

    The plainest first. In front, since a text's end may be cut off.
    """
    if not caption:
        return tuple(dict.fromkeys(template.format(word) for template in (*CHINESE, *ENGLISH)))
    templates, comma = (CHINESE, "，") if _CHINESE.search(caption) else (ENGLISH, ", ")
    return tuple(f"{template.format(word)}{comma}{caption}" for template in templates)
