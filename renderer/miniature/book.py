"""The picture book: which pictures there are, as named attributes."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, get_args

Subject = Literal["girl", "boy"]
HairColor = Literal["purple", "black", "brown", "blonde", "pink", "blue"]
HairLength = Literal["short", "long"]
Outfit = Literal["dress", "shirt", "coat"]
OutfitColor = Literal["pink", "black", "white", "blue", "red", "yellow"]
Expression = Literal["smiling", "laughing", "crying", "bored", "singing", "eyes_closed"]
Posture = Literal["standing", "sitting"]
Action = Literal["resting", "waving", "arms_raised", "hand_on_chin", "hands_clasped", "microphone"]
Place = Literal["living_room", "park", "seaside", "starry_sky", "classroom", "stage", "bedroom", "city", "snow"]
Time = Literal["day", "sunset", "night"]
Framing = Literal["close", "half", "full"]
SofaColor = Literal["red", "blue"]

_Value = TypeVar("_Value", bound=str)


@dataclass(frozen=True)
class Figure:
    """One character: looks, feeling, posture, and what the hands do."""

    subject: Subject
    hair_color: HairColor
    hair_length: HairLength
    outfit: Outfit
    outfit_color: OutfitColor
    expression: Expression
    posture: Posture
    action: Action


@dataclass(frozen=True)
class Picture:
    """One picture: one or two figures (left to right) in a place; `variant` seeds what captions never name."""

    figures: tuple[Figure, ...]
    place: Place
    time: Time
    framing: Framing
    variant: int


TIMES: dict[Place, tuple[Time, ...]] = {
    "living_room": ("day", "night"),
    "park": ("day", "sunset", "night"),
    "seaside": ("day", "sunset", "night"),
    "starry_sky": ("night",),
    "classroom": ("day",),
    "stage": ("day",),
    "bedroom": ("day", "night"),
    "city": ("day", "sunset", "night"),
    "snow": ("day", "night"),
}
"""The times of day each place is drawn at; a place with a single one never has it named, but for the starry sky."""

_FAVOURITE_ACTIONS: dict[Place, tuple[Action, ...]] = {
    "living_room": ("hand_on_chin", "hand_on_chin", "resting"),
    "park": ("waving", "arms_raised"),
    "seaside": ("resting", "arms_raised"),
    "starry_sky": ("hands_clasped", "hands_clasped", "hands_clasped"),
    "classroom": ("resting", "hand_on_chin"),
    "stage": ("microphone", "microphone", "microphone"),
    "bedroom": ("resting",),
    "city": ("resting", "waving"),
    "snow": ("arms_raised", "waving"),
}

_CLOSE_ACTIONS: tuple[Action, ...] = ("resting", "hand_on_chin", "microphone")
_PAIR_ACTIONS: tuple[Action, ...] = ("resting", "waving")


def sofa_color(picture: Picture) -> SofaColor:
    """The color of the living room's sofa."""
    return "red" if picture.variant % 2 else "blue"


def sample_picture(rng: random.Random) -> Picture:
    """A picture whose attributes fit together; the same state of `rng` gives the same picture."""
    place = _choose(rng, get_args(Place))
    time = _choose(rng, TIMES[place])
    pair = rng.random() < 0.2
    framing: Framing = _choose(rng, ("half", "full") if pair else ("close", "half", "half", "full", "full"))
    figures: tuple[Figure, ...] = _sample_pair(rng) if pair else (_sample_alone(rng, place, framing),)
    # Only the living room has a seat, and only a full figure shows whether it is taken.
    if place == "living_room" and framing == "full" and rng.random() < 0.75:
        figures = tuple(replace(figure, posture="sitting") for figure in figures)
    return Picture(figures, place, time, framing, rng.randrange(1 << 30))


def _choose(rng: random.Random, values: tuple[_Value, ...]) -> _Value:
    return values[rng.randrange(len(values))]


def _sample_figure(rng: random.Random, subject: Subject) -> Figure:
    girl = subject == "girl"
    return Figure(
        subject=subject,
        hair_color=_choose(rng, get_args(HairColor)),
        hair_length=_choose(rng, ("short", "long")) if girl else "short",
        outfit=_choose(rng, ("dress", "dress", "shirt", "coat") if girl else ("shirt", "coat")),
        outfit_color=_choose(rng, get_args(OutfitColor)),
        expression=_choose(rng, get_args(Expression)),
        posture="standing",
        action="resting",
    )


def _sample_alone(rng: random.Random, place: Place, framing: Framing) -> Figure:
    figure = _sample_figure(rng, "boy" if rng.random() < 0.3 else "girl")
    # One in four is the heroine of the example story, so that she is drawn best of all.
    if figure.subject == "girl" and rng.random() < 0.25:
        figure = replace(figure, hair_color="purple", hair_length="short", outfit="dress", outfit_color="pink")
    action = _sample_action(rng, place, framing)
    expression = figure.expression
    if action == "microphone" and rng.random() < 0.6:
        expression = "singing"
    if action == "hands_clasped" and rng.random() < 0.6:
        expression = "eyes_closed"
    return replace(figure, action=action, expression=expression)


def _sample_action(rng: random.Random, place: Place, framing: Framing) -> Action:
    if framing == "close":
        return _choose(rng, _CLOSE_ACTIONS)
    if rng.random() < 0.6:
        return _choose(rng, _FAVOURITE_ACTIONS[place])
    return _choose(rng, get_args(Action))


def _sample_pair(rng: random.Random) -> tuple[Figure, Figure]:
    """A girl on the left and a boy on the right who feel and do the same."""
    girl, boy = _sample_figure(rng, "girl"), _sample_figure(rng, "boy")
    likeness = rng.random()
    # Three in ten pairs have the hair of the example story's two friends, one in eight their clothes too.
    if likeness < 0.3:
        girl, boy = replace(girl, hair_color="blonde"), replace(boy, hair_color="black")
    if likeness < 0.12:
        girl = replace(girl, hair_length="long", outfit="dress", outfit_color="yellow")
        boy = replace(boy, outfit="shirt", outfit_color="blue")
    expression: Expression = _choose(rng, ("smiling", "smiling", "laughing", "laughing", *get_args(Expression)))
    action = _choose(rng, _PAIR_ACTIONS)
    return replace(girl, expression=expression, action=action), replace(boy, expression=expression, action=action)
