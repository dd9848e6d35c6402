"""Grids: exact arrays of tiny pictures; captions that never show boxes; picks that leave the user's files alone."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from renderer.errors import RunFolderError
from renderer.grid import compose_grid, grid_digest
from renderer.looking import captions
from renderer.looking.captions import OWN_FONT, best_font, draw_line, line_width, plain, shorten
from renderer.looking.cells import MAT, PAPER
from renderer.looking.layout import PAGE_PIXELS, PAGE_SIDE, plan_layout
from renderer.looking.pages import compose_page, page_png
from renderer.looking.picks import pick_name, write_picks
from renderer.manifest import GridStyle
from renderer.metadata import XMP_TEXT
from tests.manifests import make_entry, make_manifest, make_scene, paint_all, solid

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
BARE = GridStyle(columns=2, cell=2, gutter=1, rows=8, captions=False)


def story(*colours, folder: Path, style: GridStyle = BARE, size=(2, 2), **fields):
    """A painted story of one solid picture per scene."""
    scenes = [make_scene(f"s{n}", make_entry(n, size=size)) for n, _ in enumerate(colours)]
    manifest = make_manifest(*scenes, grid=style, **fields)
    return paint_all(manifest, folder, {f"s{n}": solid(colour, size) for n, colour in enumerate(colours)})


def page_of(manifest, folder, start=0):
    return compose_page(manifest, folder, plan_layout(manifest), start)


def test_pictures_stand_in_story_order_with_gutters_around_each(tmp_path):
    page = page_of(story(RED, GREEN, BLUE, folder=tmp_path), tmp_path)
    expected = np.full((7, 7, 3), PAPER, dtype=np.uint8)
    expected[1:3, 1:3], expected[1:3, 4:6], expected[4:6, 1:3] = RED, GREEN, BLUE
    np.testing.assert_array_equal(page, expected)


def test_no_gutter_puts_pictures_side_by_side(tmp_path):
    manifest = story(RED, GREEN, folder=tmp_path, style=BARE.model_copy(update={"gutter": 0}))
    np.testing.assert_array_equal(page_of(manifest, tmp_path), np.repeat([[RED, GREEN]], 2, axis=1).repeat(2, axis=0))


def test_pictures_of_other_shapes_are_centred_on_the_mat(tmp_path):
    scenes = [make_scene("wide", make_entry(0, size=(4, 2))), make_scene("tall", make_entry(1, size=(2, 4)))]
    manifest = make_manifest(*scenes, grid=BARE.model_copy(update={"cell": 4, "gutter": 0}))
    manifest = paint_all(manifest, tmp_path, {"wide": solid(RED, (4, 2)), "tall": solid(GREEN, (2, 4))})
    expected = np.full((4, 8, 3), MAT, dtype=np.uint8)
    expected[1:3, 0:4], expected[0:4, 5:7] = RED, GREEN
    np.testing.assert_array_equal(page_of(manifest, tmp_path), expected)


def test_cells_take_the_shape_that_all_pictures_share(tmp_path):
    manifest = story(RED, GREEN, folder=tmp_path, size=(16, 9), style=GridStyle(cell=160, gutter=0, captions=False))
    assert page_of(manifest, tmp_path).shape == (90, 320, 3)


def test_small_pictures_are_enlarged_to_the_cell_and_large_ones_reduced(tmp_path):
    for size in [(1, 1), (2, 2), (32, 32)]:
        page = page_of(story(RED, folder=tmp_path / str(size), size=size), tmp_path / str(size))
        np.testing.assert_array_equal(page[1:3, 1:3], np.full((2, 2, 3), RED))


def test_a_scene_is_shown_by_its_pick_else_by_its_first_painted_take(tmp_path):
    takes = [make_entry(seed, size=(2, 2)) for seed in range(3)]
    colours = {0: RED, 1: GREEN, 2: BLUE}
    for pick, painted, expected in [(2, {0, 1, 2}, BLUE), (None, {1, 2}, GREEN), (0, {1}, GREEN)]:
        scene = make_scene("s", *takes, pick=takes[pick].key if pick is not None else None)
        folder = tmp_path / f"{pick}"
        manifest = make_manifest(scene, grid=BARE)
        only = {takes[seed].key for seed in painted}
        manifest = paint_all(manifest, folder, lambda take: solid(colours[take.seed], (2, 2)), only)
        np.testing.assert_array_equal(page_of(manifest, folder)[1, 1], expected)


def test_pages_of_so_many_rows_are_written_and_those_of_a_longer_story_removed(tmp_path):
    style = BARE.model_copy(update={"columns": 1, "rows": 1})
    assert [path.name for path in compose_grid(story(RED, GREEN, BLUE, folder=tmp_path, style=style), tmp_path)] == [
        "grid.png",
        "grid-2.png",
        "grid-3.png",
    ]
    assert np.asarray(Image.open(tmp_path / "grid-2.png"))[1, 1].tolist() == list(GREEN)
    Image.new("RGB", (2, 2)).save(tmp_path / "grid-7.png")  # the user's own
    compose_grid(story(RED, folder=tmp_path, style=style), tmp_path)
    assert sorted(path.name for path in tmp_path.glob("grid*")) == ["grid-7.png", "grid.png"]


def test_the_last_page_is_as_high_as_its_rows(tmp_path):
    style = BARE.model_copy(update={"columns": 1, "rows": 2})
    manifest = story(RED, GREEN, BLUE, folder=tmp_path, style=style)
    assert page_of(manifest, tmp_path, 2).shape == (4, 4, 3)


def test_an_unchanged_grid_is_left_alone_unless_a_page_is_gone(tmp_path):
    manifest = story(RED, GREEN, folder=tmp_path)
    (page,) = compose_grid(manifest, tmp_path)
    page.write_bytes(b"as it was")
    compose_grid(manifest, tmp_path, unchanged=True)
    assert page.read_bytes() == b"as it was"
    page.unlink()
    compose_grid(manifest, tmp_path, unchanged=True)
    assert page.read_bytes().startswith(b"\x89PNG")


def test_the_digest_follows_what_the_grid_shows_and_nothing_else(tmp_path):
    manifest = story(RED, GREEN, folder=tmp_path)
    scene = manifest.scenes[0]
    other_title = manifest.model_copy(update={"title": "Other", "updated_at": "now"})
    assert grid_digest(manifest) == grid_digest(other_title)
    edits = [
        manifest.model_copy(update={"language": "zh"}),
        manifest.model_copy(update={"grid": GridStyle()}),
        manifest.model_copy(update={"pictures": {}}),
        manifest.model_copy(update={"pictures": {}, "failures": {scene.takes[0].key: "why"}}),
        manifest.model_copy(update={"scenes": manifest.scenes[::-1]}),
        manifest.model_copy(
            update={"scenes": (scene.model_copy(update={"dialogue": "Oh"}), *manifest.scenes[1:])},
        ),
    ]
    assert len({grid_digest(edit) for edit in [manifest, *edits]}) == len(edits) + 1


def test_grids_carry_the_mark_of_ai_origin_of_their_pictures(tmp_path):
    manifest = story(RED, folder=tmp_path)
    (picture,) = (tmp_path / "pictures").iterdir()
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_itxt(XMP_TEXT, "<the mark>")
    Image.open(picture).save(picture, pnginfo=texts)
    compose_grid(manifest, tmp_path)
    assert Image.open(tmp_path / "grid.png").info[XMP_TEXT] == "<the mark>"


def test_tiles_say_why_there_is_no_picture(tmp_path):
    style = GridStyle(columns=4, cell=128, gutter=0, captions=False)
    scenes = [make_scene(f"s{n}", make_entry(n, size=(128, 128))) for n in range(4)]
    keys = [scene.takes[0].key for scene in scenes]
    manifest = make_manifest(*scenes, grid=style, failures={keys[1]: "out of memory"})
    manifest = paint_all(manifest, tmp_path, lambda take: solid(RED, (128, 128)), {keys[2], keys[3]})
    (tmp_path / manifest.pictures[keys[2]].file).unlink()
    (tmp_path / manifest.pictures[keys[3]].file).write_bytes(b"\x89PNG\r\n\x1a\n torn")
    page = page_of(manifest, tmp_path)
    unpainted, failed, gone, torn = np.split(page, 4, axis=1)
    for tile in (unpainted, failed, gone):
        assert (tile[0, 0] == MAT).all() and (tile[40:88] != MAT).any(), "words in the middle of the mat"
    assert not np.array_equal(unpainted, failed)
    np.testing.assert_array_equal(gone, torn)


@pytest.mark.parametrize("file", ["../secret.png", "/etc/secret.png", "a/../../secret.png", "..\\secret.png", "a\0b"])
def test_records_that_point_out_of_the_folder_show_nothing(tmp_path, file):
    folder = tmp_path / "run"
    manifest = story(RED, folder=folder)
    Image.fromarray(solid(RED)).save(tmp_path / "secret.png")
    key, record = next(iter(manifest.pictures.items()))
    manifest = manifest.model_copy(update={"pictures": {key: record.model_copy(update={"file": file})}})
    assert not (page_of(manifest, folder) == RED).all(axis=-1).any()


@pytest.mark.parametrize("style", [GridStyle(columns=64, cell=4096), GridStyle(columns=1, cell=4096, rows=1024)])
def test_absurd_pages_are_kept_within_bounds(style):
    scenes = [make_scene(f"s{n}", make_entry(n, size=(1, 1))) for n in range(200)]
    layout = plan_layout(make_manifest(*scenes, grid=style))
    height, width = layout.page(layout.scenes)
    assert height * width <= PAGE_PIXELS and max(height, width) <= PAGE_SIDE
    assert layout.columns == min(200, style.columns), "columns are the author's"


def test_memory_stays_flat_however_many_pages(tmp_path):
    style = GridStyle(columns=2, cell=64, rows=2, captions=False)

    def peak(scenes: int) -> int:
        manifest = story(*[RED] * scenes, folder=tmp_path, style=style, size=(64, 64))
        tracemalloc.start()
        compose_grid(manifest, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(4)
    assert peak(200) < 2 * peak(8) + 400_000


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    manifest = story(RED, folder=tmp_path)
    (tmp_path / "grid.png").mkdir()
    with pytest.raises(RunFolderError, match=str(tmp_path)):
        compose_grid(manifest, tmp_path)


def test_the_first_page_comes_as_png_without_being_written(tmp_path):
    manifest = story(RED, folder=tmp_path)
    assert page_png(manifest, tmp_path).startswith(b"\x89PNG")
    assert not (tmp_path / "grid.png").exists()


# Captions


def caption_of(folder, **scene) -> np.ndarray:
    entry = make_entry(0, size=(256, 256))
    style = GridStyle(columns=1, cell=256, gutter=0)
    manifest = make_manifest(make_scene("sofa", entry, **scene), grid=style)
    return page_of(manifest, folder)[256:]


def test_captions_have_a_second_line_only_where_something_is_said_or_shot(tmp_path):
    bare, said = caption_of(tmp_path), caption_of(tmp_path, dialogue="好无聊啊")
    assert said.shape[0] == 2 * bare.shape[0]
    assert not np.array_equal(said, caption_of(tmp_path, shot="wide"))
    np.testing.assert_array_equal(said, caption_of(tmp_path, dialogue="好无聊啊", shot="wide"))


@pytest.mark.parametrize("text", ["好无聊啊……", "Où ça ? Ärger!", "いろは カタカナ", "안녕하세요", "Привет", "繁體字"])
def test_our_own_font_shows_common_languages(text):
    assert best_font(plain(text)) == (str(OWN_FONT), plain(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("🎉 party", "party"),
        ("e\u0301te\u0301", "été"),
        ("a\x00b\x1bc", "abc"),
        ("\u202eevil\u202c", "evil"),
        ("two\nlines\t here", "two lines here"),
        ("\ud800x", "x"),
        ("\U0010ffff", ""),
        ("", ""),
    ],
)
def test_what_no_font_can_show_is_left_out_and_never_a_box(monkeypatch, text, shown):
    monkeypatch.setattr(captions, "SYSTEM_FONTS", ())
    captions.best_font.cache_clear()
    assert best_font(plain(text))[1] == shown
    captions.best_font.cache_clear()


def test_the_box_for_unknown_characters_is_recognised():
    assert captions._has(str(OWN_FONT), "猫") and captions._has(str(OWN_FONT), "…")
    assert not captions._has(str(OWN_FONT), "\ue000") and not captions._has(str(OWN_FONT), "ا")


def test_long_captions_end_in_dots_within_their_width():
    font = ImageFont.truetype(str(OWN_FONT), 20)
    for text in ["好" * 300, "word " * 100, "e" * 5 + "\u0323\u0302" * 80]:
        for width in (0, 1, 30, 120):
            short = shorten(text, font, width)
            assert font.getlength(short) <= width
            assert short in ("", text) or short.endswith("…")
    assert shorten("short", font, 500) == "short"
    assert shorten("a\u0323\u0302" + "b" * 50, font, 45).startswith("a\u0323\u0302")


@pytest.mark.parametrize(
    "text", ["مرحبا بالعالم", "עברית", "ไทย", "नमस्ते", "👩‍👩‍👧", "\0", "\u202e" * 50, "a\u0300" * 9000, "字" * 100_000]
)
def test_no_text_crashes_a_caption_or_leaves_its_place(tmp_path, text):
    caption_of(tmp_path, dialogue=text)
    image = Image.new("RGB", (200, 40), PAPER)
    end = draw_line(image, (50, 0, 150, 40), text, 20, (0, 0, 0))
    assert end <= 151
    outside = np.asarray(image).copy()
    outside[:, 46:154] = PAPER
    assert (outside == PAPER).all()


def test_the_width_of_a_line_is_the_room_it_needs():
    words = "not painted yet"
    width = line_width(words, 20)
    font = ImageFont.truetype(str(OWN_FONT), 20)
    assert shorten(words, font, width) == words and shorten(words, font, width - 2) != words


# Picks


def picked(folder, *seeds, colours=None):
    """A story of one scene per seed, all picked."""
    takes = [make_entry(seed, prompt=str(seed), size=(2, 2)) for seed in seeds]
    scenes = [make_scene(f"s{take.seed}", take, pick=take.key) for take in takes]
    return paint_all(make_manifest(*scenes, grid=BARE), folder, colours or (lambda take: solid((take.seed, 0, 0))))


def names(folder):
    return sorted(path.name for path in (folder / "picks").glob("*.png"))


def test_picks_are_numbered_copies_and_stale_ones_go(tmp_path):
    first = picked(tmp_path, 1, 2, 3)
    assert [path.name for path in write_picks(first, tmp_path)] == ["01-s1.png", "02-s2.png", "03-s3.png"]
    source = tmp_path / first.pictures[first.scenes[0].takes[0].key].file
    copy = tmp_path / "picks" / "01-s1.png"
    assert copy.read_bytes() == source.read_bytes() and copy.stat().st_ino != source.stat().st_ino
    write_picks(picked(tmp_path, 2, 3), tmp_path)
    assert names(tmp_path) == ["01-s2.png", "02-s3.png"]


def test_scenes_without_a_painted_pick_have_none(tmp_path):
    manifest = story(RED, folder=tmp_path)
    assert write_picks(manifest, tmp_path) == [] and not (tmp_path / "picks").exists()


def test_picks_of_the_same_content_are_not_rewritten(tmp_path):
    manifest = picked(tmp_path, 1)
    (path,) = write_picks(manifest, tmp_path)
    before = path.stat().st_ino
    write_picks(manifest, tmp_path)
    assert path.stat().st_ino == before


def test_the_users_files_among_the_picks_are_never_lost(tmp_path):
    manifest = picked(tmp_path, 1, 2)
    folder = tmp_path / "picks"
    folder.mkdir()
    (folder / "01-s1.png").write_bytes(b"the user's own")
    (folder / "99-mine.png").write_bytes(b"mine")
    assert [path.name for path in write_picks(manifest, tmp_path)] == ["01-s1.png", "02-s2.png"]
    assert (tmp_path / "set-aside" / "01-s1.1.png").read_bytes() == b"the user's own"
    (folder / "02-s2.png").write_bytes(b"retouched")
    write_picks(picked(tmp_path, 3), tmp_path)
    assert {path.name: path.read_bytes()[:8] for path in folder.glob("*.png")} == {
        "01-s3.png": b"\x89PNG\r\n\x1a\n",
        "02-s2.png": b"retouche",
        "99-mine.png": b"mine",
    }


def test_a_retouched_pick_stays_until_another_is_picked_and_is_then_set_aside(tmp_path):
    first, other = (make_entry(seed, size=(2, 2)) for seed in (1, 9))

    def pick(entry):
        scene = make_scene("s1", first, other, pick=entry.key)
        return paint_all(make_manifest(scene), tmp_path, lambda take: solid((take.seed, 0, 0)))

    (path,) = write_picks(pick(first), tmp_path)
    for retouched in (b"once", b"twice"):
        path.write_bytes(retouched)
        for _ in range(2):
            assert write_picks(pick(first), tmp_path) == [] and path.read_bytes() == retouched
    assert write_picks(pick(other), tmp_path) == [path]
    assert np.asarray(Image.open(path))[0, 0, 0] == 9
    (kept,) = (tmp_path / "set-aside").iterdir()
    assert kept.read_bytes() == b"twice"


def test_a_copy_that_a_killed_run_left_without_a_record_is_ours(tmp_path):
    first = picked(tmp_path, 1)
    write_picks(first, tmp_path)
    (tmp_path / "picks" / ".written.json").unlink()
    other = make_entry(9, size=(2, 2))
    scene = make_scene("s1", first.scenes[0].takes[0], other, pick=other.key)
    again = paint_all(make_manifest(scene), tmp_path, lambda take: solid((take.seed, 0, 0)))
    (path,) = write_picks(again, tmp_path)
    assert np.asarray(Image.open(path))[0, 0, 0] == 9


@pytest.mark.parametrize("record", ["", "[]", "null", '{"a.png": 3}', '{"../x.png": ["", 1, 1]}'])
def test_a_damaged_record_of_picks_is_no_harm(tmp_path, record):
    (tmp_path / "picks").mkdir()
    (tmp_path / "x.png").write_bytes(b"x")
    (tmp_path / "picks" / ".written.json").write_text(record)
    assert len(write_picks(picked(tmp_path, 1), tmp_path)) == 1
    assert (tmp_path / "x.png").read_bytes() == b"x"
    assert list(json.loads((tmp_path / "picks" / ".written.json").read_text())) == ["01-s1.png"]


def test_names_of_picks_fit_every_file_system():
    scenes = [make_scene(id) for id in ("公园-1", "../../etc/passwd", "长" * 300, 'a"<b>:c')]
    manifest = make_manifest(*scenes)
    made = [pick_name(manifest, index) for index in range(4)]
    assert made[0] == "01-公园-1.png" and made[1] == "02-______etc_passwd.png" and made[3] == "04-a__b__c.png"
    assert all(len(name.encode()) <= 154 for name in made)


def test_numbers_have_as_many_digits_as_the_story_needs():
    manifest = make_manifest(*[make_scene(f"s{n}") for n in range(100)])
    assert pick_name(manifest, 0) == "001-s0.png" and pick_name(manifest, 99) == "100-s99.png"


def test_composing_a_grid_writes_the_picks_too(tmp_path):
    compose_grid(picked(tmp_path, 1), tmp_path)
    assert names(tmp_path) == ["01-s1.png"]
