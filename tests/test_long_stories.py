"""Stories of thousands of takes: nothing is computed twice, and the work grows as the story does."""

from __future__ import annotations

import cProfile
import errno
import gc
import pstats
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from renderer import grid, paint, storyboard
from renderer.collector import collector_rests
from renderer.grid import compose_grid
from renderer.line import rebuild
from renderer.looking import thumbs
from renderer.looking.parallel import in_order
from renderer.manifest import GridStyle, read_manifest
from renderer.plan import plan_story
from renderer.sheet import write_sheet
from tests.long_stories import paint_long, write_long, write_long_sweep
from tests.manifests import make_entry, make_manifest, make_scene, paint_all, solid
from tests.pages import parse, select
from tests.stories import render_fake, write_story


def calls_for(story) -> int:
    """How many functions are called to plan a story whose takes are all painted and to write its sheet once more."""
    out = story.parent / "run"
    paint_long(plan_story(story, out=out))
    rebuild(story, out=out)
    profile = cProfile.Profile()
    profile.enable()
    rebuild(story, out=out)
    profile.disable()
    return pstats.Stats(profile).total_calls


@pytest.mark.parametrize(
    "make", [lambda folder, n: write_long(folder, 30 * n, 2), lambda folder, n: write_long_sweep(folder, n, 10, 6)]
)
def test_twice_as_many_takes_are_twice_the_work(tmp_path, make):
    calls = []
    for size in (1, 2, 4):
        folder = tmp_path / str(size)
        folder.mkdir()
        calls.append(calls_for(make(folder, size)))
    assert calls[2] - calls[1] < 2.05 * (calls[1] - calls[0])


def test_a_prompt_is_expanded_once_for_each_seed_and_a_text_without_a_choice_once_for_all(tmp_path, monkeypatch):
    asked = []

    def counting(template, seed, cast, *tags):
        asked.append((template.source, seed, *tags))
        return expand(template, seed, cast, *tags)

    expand = storyboard.expand
    monkeypatch.setattr(storyboard, "expand", counting)
    plan = plan_story(write_long(tmp_path, scenes=12, seeds=5), out=tmp_path / "run")
    assert len(plan.takes) == 60
    assert len(asked) == len(set(asked))
    chosen = [source for source, *_ in asked if "|" in source]
    assert len(chosen) == 60
    assert sorted(source for source, *_ in asked if "|" not in source) == [
        "",
        "",
        "动漫风格",
        "多余的手指",
        "模糊，变形",
        "眼镜",
    ]


# Thumbnails


@pytest.fixture
def reduced(monkeypatch):
    """The pictures of which a small copy is made, as it goes on."""
    made, reduce = [], thumbs._reduced

    def noting(picture):
        made.append(picture.name)
        return reduce(picture)

    monkeypatch.setattr(thumbs, "_reduced", noting)
    return made


def test_a_small_copy_is_made_once_however_many_scenes_show_the_picture(tmp_path, reduced):
    take, other = make_entry(0, "海边"), make_entry(1, "海边")
    manifest = paint_all(make_manifest(make_scene("a", take, other), make_scene("b", take)), tmp_path)
    write_sheet(manifest, tmp_path)
    assert len(reduced) == 2
    write_sheet(manifest, tmp_path)
    assert len(reduced) == 2
    assert len(list((tmp_path / "thumbs").glob("*.webp"))) == 2


def test_a_picture_that_cannot_be_read_keeps_no_other_from_its_small_copy(tmp_path, reduced):
    takes = [make_entry(seed) for seed in range(6)]
    manifest = paint_all(make_manifest(make_scene("a", *takes)), tmp_path)
    (tmp_path / manifest.pictures[takes[2].key].file).write_bytes(b"not a picture")
    page = parse(write_sheet(manifest, tmp_path).read_text(encoding="utf-8"))
    assert len(reduced) == 6
    assert len(select(page, "figure.take img")) == 5 and len(select(page, "div.missing")) == 2


@pytest.mark.parametrize("torn", [lambda whole: b"", lambda whole: whole[:-9], lambda whole: bytes(len(whole))])
def test_a_small_copy_that_a_power_cut_left_torn_is_made_anew_and_no_other(tmp_path, reduced, torn):
    takes = [make_entry(seed) for seed in range(3)]
    manifest = paint_all(make_manifest(make_scene("a", *takes)), tmp_path)
    write_sheet(manifest, tmp_path)
    small = tmp_path / "thumbs" / f"{takes[1].key[:12]}.webp"
    whole = small.read_bytes()
    small.write_bytes(torn(whole))
    write_sheet(manifest, tmp_path)
    assert small.read_bytes() == whole
    assert len(reduced) == 4 and reduced[3] == Path(manifest.pictures[takes[1].key].file).name


def test_small_copies_are_the_same_however_many_are_made_at_once(tmp_path, monkeypatch):
    takes = [make_entry(seed, size=(700, 40)) for seed in range(2 * thumbs.TOGETHER + 3)]
    found = []
    for cores in (1, 4):
        folder = tmp_path / str(cores)
        monkeypatch.setattr(thumbs, "cores", lambda cores=cores: cores)
        write_sheet(paint_all(make_manifest(make_scene("a", *takes)), folder), folder)
        found.append({path.name: path.read_bytes() for path in (folder / "thumbs").iterdir()})
    assert found[0] == found[1] and len(found[0]) == len(takes)


def test_a_picture_that_the_grid_opens_is_not_opened_again_for_its_small_copy(tmp_path, reduced):
    scenes = [make_scene(f"s{n}", *[make_entry(seed, f"s{n}", size=(600, 300)) for seed in range(3)]) for n in range(4)]
    manifest = paint_all(make_manifest(*scenes), tmp_path)
    compose_grid(manifest, tmp_path)
    seen = {path.name: path.read_bytes() for path in (tmp_path / "thumbs").iterdir()}
    write_sheet(manifest, tmp_path)
    assert len(seen) == 4 and len(reduced) == 8
    for name in seen:
        (tmp_path / "thumbs" / name).unlink()
    write_sheet(manifest, tmp_path)
    assert {name: (tmp_path / "thumbs" / name).read_bytes() for name in seen} == seen


def test_a_render_leaves_no_small_copy_to_the_sheet(tmp_path, reduced):
    folder = render_fake(write_story(tmp_path))[0].plan.folder
    made = {path.name: path.read_bytes() for path in (folder / "thumbs").iterdir()}
    assert len(made) == 4 and not reduced
    shutil.rmtree(folder / "thumbs")
    write_sheet(read_manifest(folder), folder)
    assert {path.name: path.read_bytes() for path in (folder / "thumbs").iterdir()} == made


def test_a_small_copy_that_cannot_be_kept_costs_no_picture(tmp_path, reduced, monkeypatch):
    def full(*about):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(paint, "keep_thumbnail", full)
    result, _ = render_fake(write_story(tmp_path))
    assert len(result.outcome.painted) == 4 and not result.outcome.failed
    assert len(list((result.plan.folder / "thumbs").glob("*.webp"))) == 4


# The grid


STYLE = GridStyle(columns=1, rows=1, cell=32)


def paged(folder, *said: str):
    """A story of so many scenes, each with its own dialogue and a page of the grid to itself."""
    scenes = [make_scene(f"s{n}", make_entry(n, size=(32, 32)), dialogue=words) for n, words in enumerate(said)]
    return paint_all(make_manifest(*scenes, grid=STYLE), folder, lambda take: solid((9, 20 * take.seed, 7), (32, 32)))


def files(paths) -> list[int]:
    return [path.stat().st_ino for path in paths]


def test_only_pages_that_look_otherwise_are_composed_anew(tmp_path):
    before = files(compose_grid(paged(tmp_path, "a", "b", "c"), tmp_path))
    assert files(compose_grid(paged(tmp_path, "a", "b", "c"), tmp_path)) == before
    after = files(compose_grid(paged(tmp_path, "a", "B", "c"), tmp_path))
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]


def test_a_page_that_someone_put_in_its_place_is_composed_anew(tmp_path):
    manifest = paged(tmp_path, "a", "b")
    first, second = compose_grid(manifest, tmp_path)
    Image.new("RGB", (4, 4)).save(second)
    untouched = files([first])
    compose_grid(manifest, tmp_path)
    assert files([first]) == untouched and np.asarray(Image.open(second)).shape[0] > 4


def test_pages_come_out_the_same_however_many_are_composed_at_once(tmp_path, monkeypatch):
    contents = []
    for cores in (1, 4):
        folder = tmp_path / str(cores)
        monkeypatch.setattr(grid, "cores", lambda cores=cores: cores)
        contents.append([path.read_bytes() for path in compose_grid(paged(folder, *"一abc二def"), folder)])
    assert contents[0] == contents[1] and len(contents[0]) == 8


# Several at once


def test_what_several_threads_make_comes_in_order():
    def make(number: int) -> tuple[int, int]:
        time.sleep(0.01 * (5 - number % 5))
        return number, threading.get_ident()

    made = list(in_order(make, range(20), at_once=4))
    assert [number for number, _ in made] == list(range(20))
    assert 1 < len({thread for _, thread in made}) <= 4
    assert {thread for _, thread in in_order(make, range(3), at_once=1)} == {threading.get_ident()}


def test_nothing_is_begun_after_something_went_wrong():
    begun = []

    def make(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise OSError("full")
        return number

    with pytest.raises(OSError, match="full"):
        list(in_order(make, range(1000), at_once=2))
    assert len(begun) < 10


def test_few_are_made_before_they_are_asked_for():
    begun = []
    made = in_order(lambda number: begun.append(number), range(1000), at_once=3)
    next(made)
    assert len(begun) <= 4
    made.close()


def test_the_collector_is_left_as_it_was():
    assert gc.isenabled()
    with collector_rests():
        assert not gc.isenabled()
        with collector_rests():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError), collector_rests():
        raise ValueError
    assert gc.isenabled()


# In a browser


def test_the_cursor_comes_into_view_without_a_look_at_cards_scrolled_past(tmp_path, open_page):
    scenes = [make_scene(f"s{n}", *[make_entry(seed, f"第{n}幕") for seed in range(4)]) for n in range(60)]
    page = open_page(write_sheet(paint_all(make_manifest(*scenes), tmp_path), tmp_path))
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_function("document.querySelector('article.scene').getBoundingClientRect().bottom < -1000")
    page.evaluate("""() => {
      const measure = Element.prototype.getBoundingClientRect;
      window.measured = new Set();
      Element.prototype.getBoundingClientRect = function () {
        if (this.matches("figure.take")) measured.add(this);
        return measure.call(this);
      };
    }""")
    page.keyboard.press("ArrowRight")
    box = page.evaluate("document.querySelector('figure.cursor').getBoundingClientRect().toJSON()")
    assert box["bottom"] > 0 and box["top"] < 900
    assert page.evaluate("measured.size") < 12
