"""The picture book: which pictures there are, as named attributes."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, get_args

Kind = Literal["girl", "boy", "woman", "man"]
HairColor = Literal["purple", "black", "brown", "blonde", "pink", "blue", "red", "silver"]
HairStyle = Literal["short", "long", "ponytail", "twintails"]
Outfit = Literal["dress", "shirt", "coat", "sweater", "uniform"]
OutfitColor = Literal["pink", "black", "white", "blue", "red", "yellow", "green", "purple"]
Accessory = Literal["none", "glasses", "hat", "scarf", "bow"]
Expression = Literal["smiling", "laughing", "crying", "bored", "singing", "eyes_closed", "surprised", "angry"]
Posture = Literal["standing", "sitting"]
Action = Literal[
    "resting",
    "waving",
    "arms_raised",
    "hand_on_chin",
    "hands_clasped",
    "microphone",
    "reading",
    "umbrella",
    "cup",
    "flower",
]
ThingKind = Literal["cat", "dog", "rabbit", "bird", "balloon", "bicycle"]
ThingColor = Literal["black", "white", "orange", "brown", "grey", "blue", "yellow", "red"]
Place = Literal[
    "living_room",
    "bedroom",
    "kitchen",
    "classroom",
    "library",
    "practice_room",
    "fitting_room",
    "stage",
    "train",
    "street",
    "park",
    "forest",
    "seaside",
    "snow",
    "rain",
    "starry_sky",
]
Time = Literal["day", "sunset", "night"]
Framing = Literal["close", "half", "full", "wide"]
SofaColor = Literal["red", "blue", "green"]
Style = Literal["plain", "night_blue", "warm_paper", "pencil"]
Frame = Literal["square", "landscape"]

_Value = TypeVar("_Value", bound=str)


@dataclass(frozen=True)
class Figure:
    """One character: looks, feeling, posture, and what the hands do."""

    kind: Kind
    hair_color: HairColor
    hair_style: HairStyle
    outfit: Outfit
    outfit_color: OutfitColor
    accessory: Accessory
    expression: Expression
    posture: Posture
    action: Action


@dataclass(frozen=True)
class Things:
    """One to three animals or objects of one kind and color."""

    kind: ThingKind
    color: ThingColor
    count: int


@dataclass(frozen=True)
class Picture:
    """None, one or two figures (left to right) and perhaps things, in a place.

    `sofa` shows in the living room alone. `variant` seeds what captions never name.
    """

    figures: tuple[Figure, ...]
    things: Things | None
    place: Place
    sofa: SofaColor
    time: Time
    framing: Framing
    style: Style
    frame: Frame
    variant: int


TIMES: dict[Place, tuple[Time, ...]] = {
    "living_room": ("day", "night"),
    "bedroom": ("day", "night"),
    "kitchen": ("day", "night"),
    "classroom": ("day", "sunset"),
    "library": ("day",),
    "practice_room": ("day",),
    "fitting_room": ("day",),
    "stage": ("night",),
    "train": ("day", "sunset", "night"),
    "street": ("day", "sunset", "night"),
    "park": ("day", "sunset", "night"),
    "forest": ("day", "night"),
    "seaside": ("day", "sunset", "night"),
    "snow": ("day", "night"),
    "rain": ("day", "night"),
    "starry_sky": ("night",),
}
"""The times of day each place is drawn at."""

SEATS: tuple[Place, ...] = ("living_room", "bedroom", "library", "train", "park")
"""The places with a seat: a sofa, a bed, an armchair, a train's bench, a park bench."""

THING_COLORS: dict[ThingKind, tuple[ThingColor, ...]] = {
    "cat": ("black", "white", "orange"),
    "dog": ("brown", "white"),
    "rabbit": ("white", "grey"),
    "bird": ("blue", "yellow"),
    "balloon": ("red", "blue", "yellow"),
    "bicycle": ("red", "blue"),
}

LEFT_OUT: Style = "pencil"
"""The drawing style that the miniature is never shown, so that a LoRA can teach it."""

_OUTDOORS: tuple[Place, ...] = ("street", "park", "forest", "seaside", "snow", "rain", "starry_sky")
_OUTDOOR_THINGS: tuple[ThingKind, ...] = ("balloon", "bicycle")

_FAVOURITE_ACTIONS: dict[Place, tuple[Action, ...]] = {
    "living_room": ("hand_on_chin", "reading", "cup"),
    "bedroom": ("resting", "reading", "hands_clasped"),
    "kitchen": ("cup", "waving"),
    "classroom": ("hand_on_chin", "reading", "resting"),
    "library": ("reading", "hand_on_chin"),
    "practice_room": ("microphone", "arms_raised"),
    "fitting_room": ("resting", "hands_clasped"),
    "stage": ("microphone", "microphone", "arms_raised"),
    "train": ("reading", "hand_on_chin", "resting"),
    "street": ("resting", "waving", "umbrella"),
    "park": ("waving", "arms_raised", "flower"),
    "forest": ("resting", "flower"),
    "seaside": ("resting", "arms_raised", "waving"),
    "snow": ("arms_raised", "waving"),
    "rain": ("umbrella", "umbrella", "resting"),
    "starry_sky": ("hands_clasped", "hands_clasped", "resting"),
}

_CLOSE_ACTIONS: tuple[Action, ...] = ("resting", "hand_on_chin", "microphone", "hands_clasped")
_PAIR_ACTIONS: tuple[Action, ...] = ("resting", "waving", "arms_raised", "cup")


def sample_picture(rng: random.Random, style: Style | None = None) -> Picture:
    """A picture whose attributes fit together; the same state of `rng` gives the same picture.

    Without a style it is one of those that the miniature learns: plain seven times in ten, and never the one left out.
    """
    chosen = style or _sample_style(rng)
    people = _weighted(rng, {"alone": 0.7, "pair": 0.18, "nobody": 0.12})
    place = choose(rng, get_args(Place))
    time = choose(rng, TIMES[place])
    framing = _sample_framing(rng, people)
    figures = _sample_figures(rng, people, place, framing)
    things = _sample_things(rng, people, place, framing)
    # Only a full figure shows whether a seat is taken.
    if figures and place in SEATS and framing == "full" and things is None and rng.random() < 0.6:
        figures = tuple(replace(figure, posture="sitting") for figure in figures)
    frame: Frame = "landscape" if rng.random() < 0.2 else "square"
    return Picture(
        figures, things, place, choose(rng, get_args(SofaColor)), time, framing, chosen, frame, rng.randrange(1 << 30)
    )


def choose(rng: random.Random, values: tuple[_Value, ...]) -> _Value:
    """One of the values, each as likely."""
    return values[rng.randrange(len(values))]


def shows_colors(style: Style) -> bool:
    """Whether a picture of that style tells colors and times of day apart."""
    return style in ("plain", "warm_paper")


def shown_actions(framing: Framing) -> tuple[Action, ...]:
    """The actions that can be seen in that framing; a close one cuts off all hands that are not near the face."""
    return _CLOSE_ACTIONS if framing == "close" else get_args(Action)


def _weighted(rng: random.Random, shares: dict[_Value, float]) -> _Value:
    (value,) = rng.choices(list(shares), list(shares.values()))
    return value


def _sample_style(rng: random.Random) -> Style:
    others = tuple(style for style in get_args(Style) if style not in ("plain", LEFT_OUT))
    return "plain" if rng.random() < 0.7 else choose(rng, others)


def _sample_framing(rng: random.Random, people: str) -> Framing:
    if people == "nobody":
        return "wide"
    if people == "pair":
        return _weighted(rng, {"half": 0.4, "full": 0.4, "wide": 0.2})
    return _weighted(rng, {"close": 0.2, "half": 0.3, "full": 0.34, "wide": 0.16})


def _sample_things(rng: random.Random, people: str, place: Place, framing: Framing) -> Things | None:
    share = {"alone": 0.3, "pair": 0.0, "nobody": 0.6}[people]
    if framing in ("close", "half") or rng.random() >= share:
        return None
    kind = choose(rng, get_args(ThingKind))
    while kind in _OUTDOOR_THINGS and place not in _OUTDOORS:
        kind = choose(rng, get_args(ThingKind))
    count = 1 if kind == "bicycle" else _weighted_count(rng)
    return Things(kind, choose(rng, THING_COLORS[kind]), count)


def _weighted_count(rng: random.Random) -> int:
    return int(_weighted(rng, {"1": 0.5, "2": 0.25, "3": 0.25}))


def _sample_figures(rng: random.Random, people: str, place: Place, framing: Framing) -> tuple[Figure, ...]:
    if people == "nobody":
        return ()
    if people == "pair":
        return _sample_pair(rng)
    return (_sample_alone(rng, place, framing),)


def _sample_looks(rng: random.Random, kind: Kind) -> Figure:
    """A figure at rest: only its looks and its feeling are drawn by lot."""
    female = kind in ("girl", "woman")
    outfits: dict[Kind, tuple[Outfit, ...]] = {
        "girl": ("dress", "dress", "shirt", "coat", "sweater", "uniform"),
        "boy": ("shirt", "shirt", "coat", "sweater", "uniform"),
        "woman": ("dress", "dress", "shirt", "coat", "sweater"),
        "man": ("shirt", "coat", "coat", "sweater"),
    }
    accessories: tuple[Accessory, ...] = ("glasses", "hat", "scarf", "bow") if female else ("glasses", "hat", "scarf")
    return Figure(
        kind=kind,
        hair_color=choose(rng, get_args(HairColor)),
        hair_style=choose(rng, ("short", "short", "long", "long", "ponytail", "twintails")) if female else "short",
        outfit=choose(rng, outfits[kind]),
        outfit_color=choose(rng, get_args(OutfitColor)),
        accessory=choose(rng, accessories) if rng.random() < 0.35 else "none",
        expression=choose(rng, get_args(Expression)),
        posture="standing",
        action="resting",
    )


def _sample_alone(rng: random.Random, place: Place, framing: Framing) -> Figure:
    figure = _sample_looks(rng, _weighted(rng, {"girl": 0.45, "boy": 0.2, "woman": 0.2, "man": 0.15}))
    # One girl in four is the heroine of the example story, so that she is drawn best of all.
    if figure.kind == "girl" and rng.random() < 0.25:
        figure = replace(
            figure, hair_color="purple", hair_style="short", outfit="dress", outfit_color="pink", accessory="none"
        )
    action = _sample_action(rng, place, framing)
    expression = figure.expression
    if action == "microphone" and rng.random() < 0.6:
        expression = "singing"
    if action == "hands_clasped" and rng.random() < 0.5:
        expression = "eyes_closed"
    return replace(figure, action=action, expression=expression)


def _sample_action(rng: random.Random, place: Place, framing: Framing) -> Action:
    shown = shown_actions(framing)
    favourites = tuple(action for action in _FAVOURITE_ACTIONS[place] if action in shown)
    return choose(rng, favourites if favourites and rng.random() < 0.6 else shown)


def _sample_pair(rng: random.Random) -> tuple[Figure, Figure]:
    """Any two who feel and do the same; half of them a girl and a boy."""
    if rng.random() < 0.5:
        left, right = _sample_looks(rng, "girl"), _sample_looks(rng, "boy")
    else:
        left, right = (_sample_looks(rng, choose(rng, get_args(Kind))) for _ in range(2))
    likeness = rng.random()
    # Three in twenty are the friends of the second example story.
    if likeness < 0.15:
        left = replace(
            _sample_looks(rng, "girl"), hair_color="blonde", hair_style="long", outfit="dress", outfit_color="yellow"
        )
        right = replace(_sample_looks(rng, "boy"), hair_color="black", outfit="shirt", outfit_color="blue")
        left, right = replace(left, accessory="none"), replace(right, accessory="none")
    expression: Expression = choose(rng, ("smiling", "smiling", "laughing", "laughing", *get_args(Expression)))
    action = choose(rng, _PAIR_ACTIONS)
    return replace(left, expression=expression, action=action), replace(right, expression=expression, action=action)
