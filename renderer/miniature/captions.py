"""Captions: what a picture shows, said in many ways."""

from __future__ import annotations

import random
from collections.abc import Callable

from renderer.miniature import words
from renderer.miniature.book import TIMES, Figure, Picture, sofa_color
from renderer.miniature.words import Language, Words


def write_caption(picture: Picture, language: Language, rng: random.Random) -> str:
    """A caption in that language that names only what the framing shows; parts are dropped and exchanged at random."""
    write = _chinese if language == "zh" else _english
    return write(picture, rng)


def full_caption(picture: Picture, language: Language) -> str:
    """The caption that names, in the plainest words and a fixed order, everything that the framing shows."""
    return write_caption(picture, language, _Plain())


class _Plain(random.Random):
    """Always the first choice, and nothing dropped."""

    def random(self) -> float:
        return 0.0

    def randrange(self, *_: object) -> int:
        return 0

    def shuffle(self, x: object) -> None:
        return None


def _pick(rng: random.Random, options: tuple[str, ...]) -> str:
    # The plain word half the time.
    return options[0] if rng.random() < 0.4 else options[rng.randrange(len(options))]


def _chinese(picture: Picture, rng: random.Random) -> str:
    people = "和".join(_chinese_person(f, picture, rng) for f in picture.figures)
    if len(picture.figures) == 1 and rng.random() < 0.5 and not people.startswith("一"):
        people = "一个" + people
    text = _join(picture, "zh", people, "，", rng)
    return text + "。" if rng.random() > 0.9 else text


def _chinese_person(figure: Figure, picture: Picture, rng: random.Random) -> str:
    subject = _pick(rng, words.SUBJECT["zh"][figure.subject])
    hair = _chinese_hair(figure, rng)
    clothes = _chinese_clothes(figure, rng) if picture.framing != "close" and rng.random() < 0.85 else ""
    alone = len(picture.figures) == 1
    styles: tuple[Callable[[], str], ...] = (
        lambda: f"{hair}{subject}" + (f"，穿着{clothes}" if alone and clothes else f"穿着{clothes}" if clothes else ""),
        lambda: f"{hair}的{subject}，身穿{clothes}" if alone and clothes and hair else f"{hair}{subject}",
        lambda: f"穿{clothes}的{hair}{subject}" if clothes else f"{hair}{subject}",
        lambda: f"{subject}，{hair}" + (f"，{clothes}" if clothes else "") if alone and hair else f"{hair}{subject}",
        lambda: f"{hair}{subject}，穿着{clothes}" if alone and clothes else f"{hair}{subject}",
    )
    text = styles[rng.randrange(len(styles))]()
    return text if alone or text.startswith("穿") else "一个" + text


def _chinese_hair(figure: Figure, rng: random.Random) -> str:
    if rng.random() > 0.92:
        return ""
    color = _pick(rng, words.HAIR_COLOR["zh"][figure.hair_color])
    if rng.random() > 0.85:
        return color[0] + "发"
    return color + words.HAIR_LENGTH["zh"][figure.hair_length][0]


def _chinese_clothes(figure: Figure, rng: random.Random) -> str:
    color = _pick(rng, words.OUTFIT_COLOR["zh"][figure.outfit_color])
    return color + ("衣服" if rng.random() > 0.95 else _pick(rng, words.OUTFIT["zh"][figure.outfit]))


def _english(picture: Picture, rng: random.Random) -> str:
    people = " and ".join(_english_person(f, picture, rng) for f in picture.figures)
    text = _join(picture, "en", people, ", ", rng)
    return text + "." if rng.random() > 0.9 else text


def _english_person(figure: Figure, picture: Picture, rng: random.Random) -> str:
    subject = _pick(rng, words.SUBJECT["en"][figure.subject])
    color = words.HAIR_COLOR["en"][figure.hair_color][0]
    length = words.HAIR_LENGTH["en"][figure.hair_length][0] + " " if rng.random() < 0.85 else ""
    clothes = _english_clothes(figure, rng) if picture.framing != "close" and rng.random() < 0.85 else ""
    alone = len(picture.figures) == 1
    if rng.random() > 0.95:
        looks = f"a {subject}"
    else:
        adjective = color if color == "blonde" else f"{color}-haired"
        styles = (
            f"a {subject} with {length}{color} hair",
            f"a {adjective} {subject}",
            f"{subject}, {length}{color} hair" if alone else f"a {subject} with {length}{color} hair",
        )
        looks = styles[rng.randrange(len(styles))]
    if not clothes:
        return looks
    if alone and rng.random() < 0.5:
        return f"{looks}, wearing {_article(clothes)}" if rng.random() < 0.7 else f"{looks}, {clothes}"
    return f"{looks} in {_article(clothes)}"


def _english_clothes(figure: Figure, rng: random.Random) -> str:
    return f"{words.OUTFIT_COLOR['en'][figure.outfit_color][0]} {_pick(rng, words.OUTFIT['en'][figure.outfit])}"


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _join(picture: Picture, language: Language, people: str, comma: str, rng: random.Random) -> str:
    parts = _parts(picture, language, rng)
    if rng.random() > 0.6:
        rng.shuffle(parts)
    # Most prompts begin with the character; some with the place or the time.
    at = 0 if rng.random() < 0.75 else rng.randrange(len(parts) + 1)
    parts.insert(at, people)
    if rng.random() > 0.85:
        parts.insert(rng.randrange(len(parts) + 1), filler(language, rng))
    if rng.random() < 0.5:
        parts.insert(0, _pick(rng, words.STYLE[language]))
    glue = " " if language == "en" and rng.random() > 0.85 else "" if language == "zh" and rng.random() > 0.9 else comma
    return glue.join(parts)


def _parts(picture: Picture, language: Language, rng: random.Random) -> list[str]:
    """What is said besides the people, in an order that reads well."""
    figure = picture.figures[0]
    said: list[tuple[Words, str, float]] = [
        (words.PLACE[language], picture.place, 0.75 if figure.posture == "sitting" else 0.94),
        (
            words.ACTION[language],
            figure.action,
            0.92 if figure.action != "resting" else 0.1 if picture.framing != "close" else 0.0,
        ),
        (words.EXPRESSION[language], figure.expression, 0.92),
    ]
    if picture.framing == "full":
        said.insert(1, (words.POSTURE[language], figure.posture, 0.95 if figure.posture == "sitting" else 0.3))
    if len(TIMES[picture.place]) > 1 or picture.place == "starry_sky":
        said.append((words.TIME[language], picture.time, 0.8 if picture.place != "starry_sky" else 0.3))
    said.append((words.FRAMING[language], picture.framing, 0.4))
    sofa = _pick(rng, words.SOFA[language][sofa_color(picture)]) if rng.random() < 0.4 else ""
    return [_pick(rng, table[value]).replace("{sofa}", sofa) for table, value, share in said if rng.random() < share]


def filler(language: Language, rng: random.Random) -> str:
    """A word that says nothing about the picture: a name, praise, or characters never seen."""
    if rng.random() < 0.6:
        return words.FILLERS[language][rng.randrange(len(words.FILLERS[language]))]
    if language == "zh":
        return "".join(chr(rng.randrange(0x4E00, 0x9FA6)) for _ in range(rng.randrange(1, 5)))
    return "".join(chr(rng.randrange(97, 123)) for _ in range(rng.randrange(2, 9)))
