"""The animals and objects, drawn upwards from the middle of their feet at (0, 0)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from renderer.miniature.art.shapes import OUTLINE, curve, ellipse, mirror, path, rect
from renderer.miniature.book import ThingColor, ThingKind

_INK = 7.0
_PINK, _BLUSH, _WHITE = "#ff9fb0", "#ff9f9f", "#ffffff"


class _Coat(NamedTuple):
    """An animal's or object's colours: all over, in the shade, and where it is light."""

    main: str
    shade: str
    light: str
    eye: str = "#6a4a36"


def draw_thing(kind: ThingKind, color: ThingColor) -> str:
    """One thing as SVG shapes."""
    return _DRAWINGS[kind](_COATS[kind][color])


def thing_size(kind: ThingKind) -> tuple[float, float]:
    """Width and height of what `draw_thing` draws."""
    return _SIZES[kind]


def _cat(coat: _Coat) -> str:
    tail = curve("M36,-16 C84,-12 70,-62 58,-72", 30) + curve("M36,-16 C84,-12 70,-62 58,-72", 17, coat.main)
    body = path("M-30,-70 C-46,-40 -48,-4 -34,-3 H34 C48,-4 46,-40 30,-70 Z", coat.main, _INK)
    bib = path("M-16,-62 C-26,-34 -16,-22 0,-22 C16,-22 26,-34 16,-62 Z", coat.light)
    ears = _both(path("M-52,-92 C-60,-128 -54,-150 -46,-150 C-36,-150 -18,-136 -10,-128 Z", coat.main, _INK))
    ears += _both(path("M-44,-112 C-48,-128 -46,-136 -43,-136 C-38,-136 -32,-131 -26,-126 Z", _PINK))
    head = ellipse(0, -94, 58, 45, coat.main, _INK) + ellipse(0, -72, 25, 15, coat.light)
    marks = "".join(curve(f"M{x},-137 V{y}", 8, coat.shade) for x, y in ((-15, -122), (0, -116), (15, -122)))
    face = _both(_eye(-26, -94, 15, 18, coat.eye) + ellipse(-45, -72, 9, 6, _BLUSH)) + _snout(-76)
    return tail + body + bib + _paws(coat.main) + ears + head + marks + face


def _dog(coat: _Coat) -> str:
    tail = curve("M36,-24 C58,-26 68,-44 66,-62", 32) + curve("M36,-24 C58,-26 68,-44 66,-62", 19, coat.main)
    body = path("M-32,-70 C-48,-40 -50,-4 -36,-3 H36 C50,-4 48,-40 32,-70 Z", coat.main, _INK)
    bib = path("M-20,-62 C-28,-34 -18,-20 0,-20 C18,-20 28,-34 20,-62 Z", coat.light)
    collar = rect(-37, -70, 74, 19, "#e2433f", 5, 9) + ellipse(0, -48, 9, 9, "#ffd23f", 4)
    head = ellipse(0, -104, 55, 47, coat.main, _INK)
    ears = _both(
        path(
            "M-30,-146 C-62,-156 -82,-124 -76,-84 C-72,-66 -54,-66 -48,-84 C-43,-102 -42,-126 -30,-146 Z",
            coat.shade,
            _INK,
        )
    )
    muzzle = ellipse(0, -84, 31, 22, coat.light)
    tongue = path("M-9,-74 H9 V-62 Q0,-50 -9,-62 Z", "#f4607a", 4)
    face = _both(_eye(-24, -108, 13, 16, coat.eye)) + tongue + curve("M-16,-80 Q-8,-72 0,-80 Q8,-72 16,-80", 5)
    return tail + body + bib + _paws(coat.main) + collar + head + muzzle + ears + face + ellipse(0, -92, 13, 9, OUTLINE)


def _rabbit(coat: _Coat) -> str:
    ears = _both(path("M-8,-104 C-14,-160 -26,-186 -40,-184 C-58,-180 -52,-128 -36,-98 Z", coat.main, _INK))
    ears += _both(path("M-20,-112 C-24,-146 -30,-168 -38,-168 C-46,-166 -42,-132 -32,-110 Z", _PINK))
    body = path("M-28,-56 C-54,-36 -52,-3 -34,-3 H34 C52,-3 54,-36 28,-56 Z", coat.main, _INK)
    tail = ellipse(46, -22, 16, 16, coat.light, 6)
    head = ellipse(0, -80, 52, 42, coat.main, _INK) + ellipse(0, -62, 22, 13, coat.light)
    face = _both(_eye(-24, -82, 13, 17, coat.eye) + ellipse(-40, -60, 10, 7, _BLUSH)) + _snout(-66)
    teeth = rect(-6, -57, 12, 10, _WHITE, 3, 2)
    return tail + body + ellipse(0, -26, 22, 20, coat.light) + _paws(coat.main) + ears + head + teeth + face


def _bird(coat: _Coat) -> str:
    feet = _both(curve("M-16,-14 V-4 M-27,-4 H-7", 7, "#e8812c"))
    tail = path("M34,-34 L74,-58 L66,-30 L70,-14 Z", coat.shade, _INK)
    tuft = path("M-8,-98 C-16,-118 -4,-124 2,-112 C8,-126 22,-116 12,-98 Z", coat.main, _INK)
    body = ellipse(0, -56, 52, 46, coat.main, _INK) + ellipse(0, -36, 33, 23, coat.light)
    wings = _both(path("M-48,-62 C-72,-48 -64,-20 -48,-16 C-34,-24 -32,-48 -48,-62 Z", coat.shade, _INK))
    beak = path("M-13,-60 Q0,-70 13,-60 Q8,-44 0,-42 Q-8,-44 -13,-60 Z", "#ff9a2e", 5)
    face = _both(_eye(-24, -70, 12, 15, coat.eye) + ellipse(-36, -50, 8, 6, _BLUSH))
    return feet + tail + tuft + body + wings + face + beak


def _balloon(coat: _Coat) -> str:
    string = curve("M0,-196 C-16,-150 16,-110 0,-64 S-6,-20 0,0", 6, "#8a7a88")
    knot = path("M-11,-188 L0,-206 L11,-188 Z", coat.shade, _INK)
    skin = path("M0,-200 C-40,-214 -54,-246 -54,-268 A54,56 0 0 1 54,-268 C54,-246 40,-214 0,-200 Z", coat.main, _INK)
    shade = path("M4,-208 C36,-220 46,-246 46,-272 C34,-240 20,-222 4,-208 Z", coat.shade)
    gleam = path("M-36,-264 C-36,-286 -24,-300 -10,-304 C-16,-290 -24,-276 -24,-262 Q-30,-252 -36,-264 Z", coat.light)
    return string + knot + skin + shade + gleam


def _bicycle(coat: _Coat) -> str:
    wheels = "".join(_wheel(x) for x in (-66, 66))
    bars = "M-66,-54 L-30,-114 L40,-114 L4,-54 Z M-30,-114 L4,-54 M-38,-130 L-30,-114 M66,-54 L40,-114 L32,-148"
    frame = curve(bars, 22) + curve(bars, 12, coat.main)
    saddle = path("M-66,-142 Q-40,-150 -16,-138 Q-30,-122 -54,-126 Z", "#5a4038", 5)
    handle = curve("M32,-148 Q22,-160 8,-154", 15) + curve("M32,-148 Q22,-160 8,-154", 6, "#d8d8e4")
    basket = path("M46,-146 H98 L90,-104 H54 Z", "#e0b070", 6) + curve("M50,-126 H94 M64,-144 V-106 M80,-144 V-106", 4)
    crank = ellipse(4, -54, 14, 14, coat.light, 6)
    return wheels + frame + saddle + handle + basket + crank


def _wheel(x: float) -> str:
    spokes = curve(f"M{x - 40},-54 H{x + 40} M{x},-94 V-14", 4, "#b9b4c8")
    return (
        ellipse(x, -54, 46, 46, "#ffffff50", 15)
        + ellipse(x, -54, 44, 44, "none")
        + spokes
        + (ellipse(x, -54, 8, 8, OUTLINE))
    )


def _both(shapes: str) -> str:
    """The shapes and their mirror image."""
    return shapes + mirror(shapes, width=0)


def _eye(x: float, y: float, rx: float, ry: float, color: str) -> str:
    iris = ellipse(x, y + ry * 0.3, rx * 0.72, ry * 0.58, color)
    return ellipse(x, y, rx, ry, OUTLINE) + iris + ellipse(x - rx * 0.3, y - ry * 0.36, rx * 0.42, ry * 0.36, _WHITE)


def _snout(y: float) -> str:
    """A little pink nose above a mouth like a w."""
    nose = path(f"M-7,{y - 4} H7 L0,{y + 4} Z", "#f0708a", 3)
    return curve(f"M-13,{y + 6} Q-6,{y + 13} 0,{y + 4} Q6,{y + 13} 13,{y + 6}", 4) + nose


def _paws(color: str) -> str:
    return _both(ellipse(-16, -10, 16, 11, color, 6))


_COATS: dict[ThingKind, dict[ThingColor, _Coat]] = {
    "cat": {
        "black": _Coat("#3f3b4b", "#2c2935", "#6a6580", "#b8e04a"),
        "white": _Coat("#fffdf8", "#e6deda", "#ffffff", "#4aa8e8"),
        "orange": _Coat("#f7a541", "#d9772a", "#fff3dd", "#5aa84a"),
    },
    "dog": {
        "brown": _Coat("#b9783f", "#84502c", "#f6e2c4"),
        "white": _Coat("#fffcf4", "#eadcc6", "#ffffff"),
    },
    "rabbit": {
        "white": _Coat("#fffdfa", "#e8e0e0", "#ffffff", "#d9486a"),
        "grey": _Coat("#a9a9b8", "#85859a", "#dcdce6", "#5a4a7a"),
    },
    "bird": {
        "blue": _Coat("#4a9cf0", "#2f74cc", "#e4f3ff"),
        "yellow": _Coat("#ffd53d", "#f2a92a", "#fff6c8"),
    },
    "balloon": {
        "red": _Coat("#ee4a4a", "#c62f3c", "#ffc2be"),
        "blue": _Coat("#4a94f0", "#2f6cc8", "#cbe6ff"),
        "yellow": _Coat("#ffd23d", "#eea52a", "#fff7d0"),
    },
    "bicycle": {
        "red": _Coat("#ee4444", "#c62f3c", "#ffd0cc"),
        "blue": _Coat("#3f8cf0", "#2f6cc8", "#cbe6ff"),
    },
}
_SIZES: dict[ThingKind, tuple[float, float]] = {
    "cat": (132, 154),
    "dog": (152, 158),
    "rabbit": (122, 188),
    "bird": (138, 124),
    "balloon": (118, 328),
    "bicycle": (238, 166),
}
_DRAWINGS: dict[ThingKind, Callable[[_Coat], str]] = {
    "cat": _cat,
    "dog": _dog,
    "rabbit": _rabbit,
    "bird": _bird,
    "balloon": _balloon,
    "bicycle": _bicycle,
}
