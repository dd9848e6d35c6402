"""The recipe's filter run by the real Data-Juicer: why each picture is dropped, and what mistakes get."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from renderer.errors import AuthoringError, DataError
from renderer.scaffold import new_recipe
from renderer.trainer.data.juicing import Juicer, refusals
from renderer.trainer.data.report import Report, read_report
from tests.albums import ORIENTATION, album, draw, plant_faults, prepare, recipe_of, save

pytestmark = pytest.mark.skipif(importlib.util.find_spec("data_juicer") is None, reason="Data-Juicer is not installed")

FILTER = """
filter:
  - image_shape_filter: {min_width: 90}
  - image_aspect_ratio_filter: {max_ratio: 1.5}
  - image_size_filter: {min_size: "200"}
  - image_shape_filter: {max_height: 100}
  - text_length_filter: {max_len: 100}
  - document_deduplicator:
  - whitespace_normalization_mapper:
"""


@pytest.fixture(scope="module")
def filtered(tmp_path_factory):
    """A folder whose pictures are dropped by one operator each, after its data set was prepared."""
    folder = tmp_path_factory.mktemp("filtered")
    pictures = album(folder / "pictures", 5)
    save(pictures, "narrow.png", draw(10, 80, 80), "a narrow picture")
    save(pictures, "wide.png", draw(11, 160, 80), "a wide picture")
    save(pictures, "plain.png", Image.new("RGB", (96, 80)), "a plain picture", optimize=True)
    save(pictures, "high.png", draw(12, 96, 110), "a high picture")
    save(pictures, "short.png", draw(13), "short")
    save(pictures, "twice.png", draw(14), "picture 1, 一个女孩")
    plant_faults(pictures)
    return folder, prepare(folder, FILTER, heard=[])


def report_of(folder: Path) -> Report:
    inputs = json.loads((folder / "report.json").read_text(encoding="utf-8"))["inputs"]
    report = read_report(folder, inputs)
    assert report is not None
    return report


def test_why_each_picture_was_dropped_with_the_filters_number(filtered):
    _, dataset = filtered
    told = {it.name: (it.reason, it.detail) for it in dataset.findings if it.stage == "filtered"}
    assert told == {
        "narrow.png": ("image_shape_filter", "image_height 80, image_width 80; filter[0] asks for min_width 90."),
        "wide.png": (
            "image_aspect_ratio_filter",
            "aspect_ratios 2; filter[1] asks for max_ratio 1.5, and by default min_ratio 0.333.",
        ),
        "plain.png": ("image_size_filter", told["plain.png"][1]),
        "high.png": ("image_shape_filter", "image_height 110, image_width 96; filter[3] asks for max_height 100."),
        "short.png": ("text_length_filter", "text_len 5; filter[4] asks for max_len 100, and by default min_len 10."),
        "turned.jpg": ("image_shape_filter", "image_height 96, image_width 80; filter[0] asks for min_width 90."),
        "twice.png": (
            "document_deduplicator",
            "dropped by document_deduplicator; filter[5] asks for nothing particular.",
        ),
    }
    assert told["plain.png"][1].endswith("filter[2] asks for min_size 200.")


def test_good_pictures_survive_in_their_order_with_their_captions(filtered):
    _, dataset = filtered
    assert [it.name for it in dataset.samples] == [f"{number:02d}.png" for number in range(1, 6)]
    assert dataset.samples[0].caption == "picture 1, 一个女孩"


def test_the_report_has_every_step(filtered):
    folder, _ = filtered
    steps = [(step.came, step.stayed) for step in report_of(folder / "run/data").steps]
    assert steps == [(12, 10), (10, 9), (9, 8), (8, 7), (7, 6), (6, 5), (5, 5)]


def test_nothing_is_left_beside_the_data(filtered):
    folder, _ = filtered
    assert not [it for it in (folder / "pictures").iterdir() if it.is_dir()]
    assert {it.name for it in (folder / "run/data").iterdir()} == {"index.html", "juicer", "report.json", "thumbs"}


def test_a_filter_that_is_the_same_is_not_run_again(filtered):
    folder, dataset = filtered
    assert prepare(folder, FILTER, heard=(heard := [])) == dataset
    assert heard == []


def same_as_pillow(folder: Path) -> int:
    """Compares what Data-Juicer measured of the pictures of a folder with what Pillow says; how many were turned."""
    turned = 0
    for name, look in report_of(folder / "run/data").looks.items():
        path = folder / "pictures" / name
        if not look.numbers:
            continue  # it was left out before
        with Image.open(path) as image:
            is_turned = image.getexif().get(ORIENTATION) == 6
            width, height = image.size[::-1] if is_turned else image.size
        turned += is_turned
        measured = {
            "image_shape_filter": {"image_width": width, "image_height": height},
            "image_aspect_ratio_filter": {"aspect_ratios": width / height},
            "image_size_filter": {"image_sizes": path.stat().st_size},
            "text_length_filter": {"text_len": len(look.caption)},
        }
        assert look.numbers == {operator: measured[operator] for operator in look.numbers}
        assert (look.width, look.height) == (width, height)
    return turned


def test_data_juicers_numbers_are_those_of_pillow(filtered):
    assert same_as_pillow(filtered[0]) == 1


@pytest.mark.slow
def test_data_juicers_numbers_are_those_of_pillow_for_200_pictures(tmp_path):
    for number in range(200):
        suffix = (".png", ".jpg", ".webp", ".bmp")[number % 4]
        width, height = 64 + number * 37 % 211, 64 + number * 53 % 157
        exif = Image.Exif()
        if number % 10 == 1:
            exif[ORIENTATION] = 6
        picture = draw(number, width, height).convert(("RGB", "L")[number % 8 == 0])
        save(tmp_path / "pictures", f"{number:03d}{suffix}", picture, f"a picture, number {number}", exif=exif)
    operators = ("image_shape_filter", "image_aspect_ratio_filter", "image_size_filter", "text_length_filter")
    arguments = {"image_aspect_ratio_filter": "{min_ratio: 0.01, max_ratio: 100.0}"}
    lines = [f"  - {operator}: {arguments.get(operator, '{}')}\n" for operator in operators]
    assert len(prepare(tmp_path, "filter:\n" + "".join(lines)).samples) == 200
    looks = report_of(tmp_path / "run/data").looks.values()
    assert [sorted(look.numbers) for look in looks] == [sorted(operators)] * 200
    assert same_as_pillow(tmp_path) == 10  # the other ten are BMP, which has no EXIF data


def test_mistakes_are_told_at_their_place_before_anything_is_computed(tmp_path):
    album(tmp_path / "pictures", 2)
    lines = [
        "image_shape_filter: {any_or_all: some}",
        "text_length_filter: {min_len: tall}",
        "key_value_grouper: {}",
        "image_deduplicator: {}",
    ]
    with pytest.raises(AuthoringError) as caught:
        prepare(tmp_path, "filter:\n" + "".join(f"  - {line}\n" for line in lines), heard=(heard := []))
    first, second, third, fourth = str(caught.value).splitlines()
    assert ":5:25: filter[0].image_shape_filter: Keep strategy [some] is not supported." in first
    assert ":6:25: filter[1].text_length_filter: Parameter 'min_len' expects type 'int'" in second
    assert ":7:24: filter[2].key_value_grouper: it makes one row of many pictures" in third
    if importlib.util.find_spec("imagededup") is None:
        assert fourth.endswith("it needs a Python package that is not there. Run: pip install imagededup")
    assert heard == [] and not (tmp_path / "run/data/report.json").exists()


def test_every_picture_filtered_away_names_the_filter(tmp_path):
    album(tmp_path / "pictures", 3)
    lines = ["image_shape_filter: {min_width: 90}", "text_length_filter: {min_len: 1000}", "image_size_filter:"]
    text = "filter:\n" + "".join(f"  - {line}\n" for line in lines)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path, text)
    told = str(caught.value).splitlines()
    assert told[0].endswith("pictures: no picture is left of 3. At least 2 are needed.")
    assert told[1] == "  filter[1] text_length_filter dropped 3 of 3 (min_len 1000)"
    assert told[2].endswith("run/data/index.html") and len(told) == 3


def test_captions_and_pictures_that_operators_change_are_learned_as_changed(tmp_path):
    album(tmp_path / "pictures", 2)
    text = (
        "filter:\n  - remove_specific_chars_mapper: {chars_to_remove: '0123456789'}\n  - image_blur_mapper: {p: 1.0}\n"
    )
    dataset = prepare(tmp_path, text)
    assert {it.caption for it in dataset.samples} == {"picture , 一个女孩"}
    for sample in dataset.samples:
        assert sample.path.is_relative_to(tmp_path / "run/data/juicer/pictures")
        assert sample.name in ("01.png", "02.png") and sample.path.is_file()
    assert not (tmp_path / "pictures" / "__dj__produced_data__").exists()


def run(process, rows, folder):
    with Juicer(process, "default", folder) as juicer:
        assert juicer.problems() == []
        return juicer.run(rows, lambda *told: None)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_filter_of_a_new_recipe_needs_nothing_else_installed(tmp_path, language):
    rows = [("a caption", save(tmp_path, f"{number}.png", draw(number))) for number in range(2)]
    left, done = run(yaml.safe_load(new_recipe("pencil", language))["filter"], rows, tmp_path / "juicer")
    assert (len(left), len(done)) == (2, 2)


def test_a_picture_that_makes_an_operator_fail_does_not_take_others_with_it(tmp_path):
    rows = [("a caption", save(tmp_path, f"{number}.png", draw(number))) for number in range(9)]
    rows[4][1].write_bytes(b"no picture")
    left, [done] = run([{"image_shape_filter": {"min_width": 90}}], rows, tmp_path / "juicer")
    assert [row.row for row in left] == [0, 1, 2, 3, 5, 6, 7, 8]
    assert list(done.failed) == [4] and "UnidentifiedImageError" in done.failed[4]


def test_an_operator_that_fails_on_all_is_at_fault_itself(tmp_path):
    rows = [("a caption", save(tmp_path, f"{number}.png", draw(number))) for number in range(3)]
    with pytest.raises(DataError, match=r"filter\[0\], specified_field_filter: .*\n.*log\.txt"):
        run([{"specified_field_filter": {"field_key": "nowhere", "target_value": ["x"]}}], rows, tmp_path / "juicer")


def test_what_would_run_a_strangers_code_or_mean_something_else_is_refused():
    process = [
        {"python_lambda_mapper": {"lambda_str": "lambda row: row"}},
        {"image_text_similarity_filter": {"trust_remote_code": True}},
        {"image_size_filter": {"min_size": "1.5MB"}},
        {"image_size_filter": {"min_size": "1536KB"}},
        {"image_aspect_ratio_filter": None},
    ]
    told = refusals(process)
    assert [index for index, _ in told] == [0, 1, 2]
    assert "would run code" in told[0][1] and 'the point in min_size "1.5MB"' in told[2][1]


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_ray_is_asked_for_by_name_where_it_is_not(tmp_path):
    with pytest.raises(DataError, match="`executor: ray` needs Ray, which is not installed"):
        Juicer([{"image_shape_filter": {}}], "ray", tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_ray_gives_what_one_machine_gives(tmp_path):
    rows = [("a caption", save(tmp_path, f"{number}.png", draw(number, 64 + number, 64))) for number in range(9)]
    process = [{"image_shape_filter": {"min_width": 68}}, {"text_length_filter": {}}]
    here = run(process, rows, tmp_path / "here")
    with Juicer(process, "ray", tmp_path / "there") as juicer:
        assert juicer.problems() == []
        assert juicer.run(rows, lambda *told: None) == here


def test_data_juicer_that_breaks_off_is_told_with_its_log(tmp_path):
    with Juicer([{"image_shape_filter": {}}], "default", tmp_path) as juicer:
        juicer.running.kill()
        with pytest.raises(DataError, match=rf"broke off \(exit code -9\)\. Data-Juicer's log: {tmp_path}/log\.txt"):
            juicer.problems()


def test_data_juicer_ends_with_the_work(tmp_path):
    with pytest.raises(KeyboardInterrupt), Juicer([{"image_shape_filter": {}}], "default", tmp_path) as juicer:
        raise KeyboardInterrupt
    assert juicer.running.returncode is not None


def test_nothing_is_installed_or_imported_into_this_process(filtered):
    assert not {"data_juicer", "ray"} & sys.modules.keys()
    assert "PIP_DRY_RUN" not in os.environ
    assert recipe_of(filtered[0]).filter == ()
