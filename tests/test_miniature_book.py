"""The miniature's picture book: what it shows, where things stand, how it is drawn and kept."""

from __future__ import annotations

import io
import json
import random
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from renderer.miniature import book
from renderer.miniature.art.drawing import draw_picture, draw_svg, frame_size
from renderer.miniature.art.figures.figure import crown, feet
from renderer.miniature.art.layout import CANVAS, MARGIN, figure_spots, thing_spots
from renderer.miniature.art.styles import restyle
from renderer.miniature.art.subjects import face_circles
from renderer.miniature.art.things import draw_thing, thing_size
from renderer.miniature.book import Frame, Picture, Style, sample_picture
from renderer.miniature.dataset import HELD_OUT_START, code_digest, digest_of, picture_of, prepare
from renderer.miniature.pages import contact_page

pictures = [picture_of(seed) for seed in range(1500)]


def example(**changes: object) -> Picture:
    """A picture of one standing figure alone, with some attributes changed."""
    alone = next(p for p in pictures if len(p.figures) == 1 and not p.things and p.figures[0].posture == "standing")
    return replace(alone, framing="full", style="plain", frame="square", **changes)


# The book.


def test_same_seed_gives_same_picture() -> None:
    assert sample_picture(random.Random(3)) == sample_picture(random.Random(3))
    assert sample_picture(random.Random(3)) != sample_picture(random.Random(4))


def test_places_are_drawn_at_their_times_only() -> None:
    assert {(p.place, p.time) for p in pictures} == {(place, t) for place, times in book.TIMES.items() for t in times}


def test_figures_sit_on_seats_alone() -> None:
    sitting = [p for p in pictures if any(figure.posture == "sitting" for figure in p.figures)]
    assert {p.place for p in sitting} == set(book.SEATS)
    assert {p.framing for p in sitting} == {"full"}
    assert not any(p.things for p in sitting)


def test_pairs_do_and_feel_the_same_and_are_never_close() -> None:
    pairs = [p for p in pictures if len(p.figures) == 2]
    assert 0.1 < len(pairs) / len(pictures) < 0.25
    for pair in pairs:
        left, right = pair.figures
        assert (left.action, left.expression, left.posture) == (right.action, right.expression, right.posture)
        assert pair.framing != "close"


def test_things_have_their_own_colors_and_are_never_cut_off() -> None:
    shown = [p for p in pictures if p.things]
    assert {(p.things.kind, p.things.color) for p in shown if p.things} == {
        (kind, color) for kind, colors in book.THING_COLORS.items() for color in colors
    }
    assert {p.framing for p in shown} == {"full", "wide"}


def test_the_style_left_out_is_drawn_on_request_alone() -> None:
    assert {p.style for p in pictures} == set(get_args(Style)) - {book.LEFT_OUT}
    assert picture_of(5, book.LEFT_OUT).style == book.LEFT_OUT


# Where figures and things stand.


def test_heads_with_all_they_wear_and_hold_stay_in_the_picture() -> None:
    for picture in pictures:
        margin = MARGIN[picture.frame]
        for figure, spot in zip(picture.figures, figure_spots(picture), strict=True):
            assert spot.y + crown(figure) * spot.scale >= 0, picture
            assert -margin <= spot.x - 92 * spot.scale and spot.x + 92 * spot.scale <= CANVAS + margin, picture


def test_a_pair_stands_on_one_floor() -> None:
    for picture in pictures:
        if len(picture.figures) == 2:
            floors = [s.y + feet(f) * s.scale for f, s in zip(picture.figures, figure_spots(picture), strict=True)]
            assert floors[0] == pytest.approx(floors[1])


def test_a_woman_is_taller_than_a_girl_beside_her() -> None:
    pairs = [p for p in pictures if [f.kind for f in p.figures] == ["woman", "girl"]]
    assert pairs
    for picture in pairs:
        if picture.figures[0].posture == "standing":
            woman, girl = figure_spots(picture)
            assert woman.y < girl.y


def test_things_stand_side_by_side_inside_the_picture() -> None:
    for picture in pictures:
        if picture.things:
            width, height = thing_size(picture.things.kind)
            spots = thing_spots(picture)
            assert len(spots) == picture.things.count
            margin = MARGIN[picture.frame]
            for spot in spots:
                assert spot.x - spot.scale * width / 2 >= -margin and spot.x + spot.scale * width / 2 <= CANVAS + margin
                assert spot.y - height * spot.scale > 0
            for left, right in pairwise(spots):
                assert right.x - left.x > 0.85 * width * left.scale


def test_things_stand_clear_of_the_figure() -> None:
    for picture in pictures:
        if picture.things and picture.figures:
            (figure,) = figure_spots(picture)
            for spot in thing_spots(picture):
                assert abs(spot.x - figure.x) > 70 * figure.scale


# Drawing.


@pytest.mark.parametrize(("frame", "size", "expected"), [("square", 128, (128, 128)), ("landscape", 128, (160, 96))])
def test_frames_have_their_sizes(frame: Frame, size: int, expected: tuple[int, int]) -> None:
    pytest.importorskip("resvg_py")
    assert frame_size(frame, size) == expected
    drawn = draw_picture(replace(pictures[0], frame=frame), size)
    assert drawn.shape == (expected[1], expected[0], 3)
    assert drawn.dtype == np.uint8


def test_every_value_of_every_attribute_changes_the_picture() -> None:
    base = example()
    (figure,) = base.figures
    for name, values in (
        ("kind", book.Kind),
        ("hair_color", book.HairColor),
        ("hair_style", book.HairStyle),
        ("outfit", book.Outfit),
        ("outfit_color", book.OutfitColor),
        ("accessory", book.Accessory),
        ("expression", book.Expression),
        ("action", book.Action),
    ):
        kind = "girl" if name != "kind" else figure.kind
        drawn = {
            draw_svg(replace(base, figures=(replace(figure, **{"kind": kind, name: value}),)), 128)
            for value in get_args(values)
        }
        assert len(drawn) == len(get_args(values)), name
    for name, values in (("framing", book.Framing), ("style", book.Style), ("frame", book.Frame)):
        drawn = {draw_svg(replace(base, **{name: value}), 128) for value in get_args(values)}
        assert len(drawn) == len(get_args(values)), name


def test_every_place_and_time_is_drawn_differently() -> None:
    drawn = {draw_svg(example(place=place, time=t), 64) for place, times in book.TIMES.items() for t in times}
    assert len(drawn) == sum(len(times) for times in book.TIMES.values())


def test_every_thing_is_drawn_differently_and_within_its_size() -> None:
    resvg = pytest.importorskip("resvg_py")
    drawn = set()
    for kind, colors in book.THING_COLORS.items():
        width, height = thing_size(kind)
        for color in colors:
            drawn.add(draw_thing(kind, color))
            box = 'viewBox="-256 -480 512 512" width="512" height="512"'
            svg = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{draw_thing(kind, color)}</svg>'
            rows, columns = np.nonzero(alpha(resvg.svg_to_bytes(svg_string=svg)))
            assert abs(columns - 255.5).max() <= width / 2 + 26, kind  # a tail may reach further on one side
            assert 480 - height - 4 <= rows.min() and rows.max() <= 486, kind
    assert len(drawn) == sum(map(len, book.THING_COLORS.values()))


def alpha(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGBA"))[..., 3]


def test_faces_are_where_the_circles_say() -> None:
    pytest.importorskip("resvg_py")
    base = example()
    calm = replace(base.figures[0], expression="smiling", action="resting", accessory="none")
    for frame in get_args(Frame):
        picture = replace(base, figures=(calm,), frame=frame, framing="half")
        ((x, y, radius),) = face_circles(picture)
        drawn = draw_picture(picture, 256).astype(int)
        height = len(drawn)
        # The cheek's skin is under the middle of the circle, beside the mouth.
        column, row = round((x + 0.45 * radius) * height), round((y + 0.62 * radius) * height)
        red, green, blue = drawn[row, column]
        assert red > 200 and red > blue, (frame, drawn[row, column])
        assert green > 120


# Styles.


def test_plain_changes_nothing() -> None:
    assert restyle(draw_svg(example(), 64), "plain") == draw_svg(example(), 64)


def test_styles_map_all_colors_and_keep_what_is_seen_through() -> None:
    svg = '<path fill="#d8453f" stroke="none"/><path fill="#2b1c3a2e"/>'
    for style in ("night_blue", "warm_paper", "pencil"):
        restyled = restyle(svg, style)
        assert "#d8453f" not in restyled and "#2b1c3a" not in restyled
        assert re.search(r'fill="#[0-9a-f]{6}2e"', restyled)
        assert 'stroke="none"' in restyled


def test_pencil_is_grey_and_light() -> None:
    pytest.importorskip("resvg_py")
    drawn = draw_picture(example(place="seaside", time="day"), 64)
    pencil = draw_picture(replace(example(place="seaside", time="day"), style="pencil"), 64).astype(int)
    assert np.ptp(pencil, axis=2).max() <= 16 < np.ptp(drawn.astype(int), axis=2).max()
    assert pencil.mean() > 200


def test_night_blue_is_blue_and_warm_paper_is_warm() -> None:
    pytest.importorskip("resvg_py")
    blue = draw_picture(replace(example(place="seaside", time="day"), style="night_blue"), 64).reshape(-1, 3)
    paper = draw_picture(replace(example(place="seaside", time="day"), style="warm_paper"), 64).reshape(-1, 3)
    assert (blue[:, 2].astype(int) >= blue[:, 0]).mean() > 0.85
    assert paper.mean(axis=0)[0] > blue.mean(axis=0)[0]
    assert paper.max(axis=0)[2] <= 215


# The pictures on disk.


def test_pictures_are_kept_by_frame_and_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    first = prepare(tmp_path / "first", 12, 32, 1)
    again = prepare(tmp_path / "again", 12, 32, 2)
    assert digest_of(first) == digest_of(again)
    assert sorted(int(seed) for pictures in first.values() for seed in pictures.seeds) == list(range(12))
    for frame, kept in first.items():
        width, height = frame_size(frame, 32)
        assert kept.pixels.shape == (len(kept.seeds), height, width, 3)
        for seed, pixels in zip(kept.seeds, kept.pixels, strict=True):
            assert np.array_equal(pixels, draw_picture(picture_of(int(seed)), 32))


def test_kept_pictures_are_not_drawn_again(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    prepare(tmp_path, 6, 32, 1)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    prepare(tmp_path, 6, 32, 1)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


def test_pictures_of_other_code_are_drawn_again(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    expected = digest_of(prepare(tmp_path, 6, 32, 1))
    spoil(tmp_path / "square-6-32.npy", first=0)
    assert digest_of(prepare(tmp_path, 6, 32, 1)) != expected
    (tmp_path / "square-6-32.json").write_text(json.dumps({"code": "of another day", "drawn": 6}))
    assert digest_of(prepare(tmp_path, 6, 32, 1)) == expected


def test_a_killed_preparation_goes_on_where_it_was(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    expected = prepare(tmp_path, 8, 32, 1)["square"]
    count = len(expected.seeds)
    whole = np.array(expected.pixels)
    # Two are safe, the others are not yet drawn.
    (tmp_path / "square-8-32.npy").rename(tmp_path / "square-8-32.partial.npy")
    spoil(tmp_path / "square-8-32.partial.npy", first=2)
    (tmp_path / "square-8-32.json").write_text(json.dumps({"code": code_digest(), "drawn": 2}))
    gone_on = prepare(tmp_path, 8, 32, 1)["square"].pixels
    assert count > 2 and np.array_equal(gone_on, whole)
    assert not list(tmp_path.glob("*.partial*"))


def test_a_frame_without_pictures_is_empty(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    assert sorted(len(kept.pixels) for kept in prepare(tmp_path, 1, 32, 1).values()) == [0, 1]


def test_held_out_seeds_are_never_trained_on(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="held-out"):
        prepare(tmp_path, HELD_OUT_START + 1, 32, 1)


def test_digest_covers_the_drawing_code_and_nothing_else() -> None:
    from renderer.miniature.dataset import _drawing_modules

    modules = _drawing_modules()
    art = {"drawing", "figures.figure", "layout", "places.place", "shapes", "styles", "things"}
    assert {"book"} | {f"art.{name}" for name in art} <= modules
    assert not [name for name in modules if not name.startswith(("art.", "book"))]


def spoil(file: Path, first: int) -> None:
    """Blackens the kept pictures from that one on."""
    pixels = np.load(file, mmap_mode="r+")
    pixels[first:] = 0
    pixels.flush()


# Pages.


def test_contact_page_fills_its_last_row() -> None:
    page = contact_page([np.zeros((4, 6, 3), np.uint8)] * 3, columns=2, scale=2)
    assert page.size == (24, 16)
    assert page.getpixel((23, 15)) == (255, 255, 255)
    assert page.getpixel((0, 0)) == (0, 0, 0)
