"""A folder of pictures becomes a data set: captions, faults by name, what is remembered, what is refused."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from renderer.errors import DataError, RunFolderError
from renderer.trainer.data.captions import tidy
from renderer.trainer.data.checking import Needs, check_picture, check_pictures
from renderer.trainer.data.duplicates import Duplicates, find_duplicates, outline_of
from renderer.trainer.data.listing import Listed, list_pictures
from renderer.trainer.data.pictures import open_picture
from renderer.trainer.data.words import frequent_words
from renderer.trainer.dataset import prepare_dataset
from renderer.trainer.recipe import load_recipe
from renderer.trainer.recipes.recipe_file import DataEntry
from tests.albums import ORIENTATION, album, draw, plant_faults, prepare, reasons, recipe_of, save, write_table

ENTRY = DataEntry(folder="pictures")


def captions(folder: Path, entry: DataEntry = ENTRY) -> dict[str, str]:
    return {it.name: it.caption for it in list_pictures(folder, entry).pictures}


def found(folder: Path, entry: DataEntry = ENTRY) -> dict[str, str]:
    return {it.name: it.reason for it in list_pictures(folder, entry).findings}


NEEDS = Needs(64, 64)


def check(path: Path, needs: Needs = NEEDS) -> tuple[str, ...]:
    thumbs = path.parent / "thumbs"
    thumbs.mkdir(exist_ok=True)
    checked = check_picture(Listed(path.name, path, "a caption"), needs, thumbs)
    return tuple(it.reason for it in checked.findings if it.left_out)


# Captions


def test_captions_stand_beside_pictures_in_subfolders_too(tmp_path):
    save(tmp_path, "a.png", caption="一个\n女孩  ")
    save(tmp_path, "deep/b.JPG", caption="a cat")
    assert captions(tmp_path) == {"a.png": "一个 女孩", "deep/b.JPG": "a cat"}


def test_a_table_gives_order_and_captions_and_text_files_fill_in(tmp_path):
    for name in ("a.png", "b.png", "c.png", "d.png"):
        save(tmp_path, name)
    (tmp_path / "a.txt").write_text("from its file", encoding="utf-8")
    (tmp_path / "d.txt").write_text("not in the table", encoding="utf-8")
    write_table(tmp_path, [("c.png", "the, third"), ("a.png", ""), ("b.png", "second")])
    expected = {"c.png": "the, third", "a.png": "from its file", "b.png": "second", "d.png": "not in the table"}
    assert list(captions(tmp_path).items()) == list(expected.items())


@pytest.mark.parametrize("names", [("image", "prompt"), (" file ", "caption"), ("path", "text")])
def test_tables_of_other_trainers_are_read(tmp_path, names):
    save(tmp_path, "a.png")
    write_table(tmp_path, [("a.png", "x")], names)
    assert captions(tmp_path) == {"a.png": "x"}


def test_diffsynths_layout_is_read_as_it_is(tmp_path):
    save(tmp_path, "train/a.png")
    write_table(tmp_path / "train", [("a.png", "x")])
    assert captions(tmp_path) == {"train/a.png": "x"}


def test_lines_of_json_are_read_and_damaged_ones_named(tmp_path):
    save(tmp_path, "a.png")
    lines = ['{"file_name": "a.png", "text": "x"}', "", "{", "[1]", '{"text": "y"}', '{"file_name": "b", "text": 3}']
    lines += ['{"file_name": "a.png", "text": "\\ud800"}']
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert captions(tmp_path) == {"a.png": "x"}
    assert found(tmp_path) == {f"metadata.jsonl:{line}": "damaged_line" for line in (3, 4, 5, 6, 7)}


def test_the_recipes_caption_stands_for_all_others(tmp_path):
    save(tmp_path, "a.png", caption="its own")
    write_table(tmp_path, [("a.png", "of the table"), ("gone.png", "x")])
    entry = DataEntry(folder="x", caption="一个女孩")
    assert captions(tmp_path, entry) == {"a.png": "一个女孩"}
    assert found(tmp_path, entry) == {}


def test_the_recipe_may_name_the_columns(tmp_path):
    save(tmp_path, "a.png")
    write_table(tmp_path, [("a.png", "x")], ("bild", "beschreibung"))
    assert captions(tmp_path, DataEntry(folder="x", image="bild", text="beschreibung")) == {"a.png": "x"}
    with pytest.raises(DataError, match=r'no column "beschreibun". Did you mean "beschreibung"'):
        captions(tmp_path, DataEntry(folder="x", image="bild", text="beschreibun"))
    with pytest.raises(DataError, match="the first line has to name the columns, file_name,text; it says bild"):
        captions(tmp_path)


def test_names_that_are_no_pictures_of_the_folder_are_told(tmp_path):
    folder = tmp_path / "pictures"
    save(folder, "a.png")
    save(tmp_path, "secret.png")
    rows = [("a.png", "x"), ("gone.png", "y"), ("../secret.png", "z"), ("/etc/passwd", "p"), ("a.png", "twice")]
    write_table(folder, [*rows, ("", "nameless"), ("n" * 5000 + ".png", "long")])
    assert captions(folder) == {"a.png": "x"}
    told = found(folder)
    assert told.pop("n" * 5000 + ".png") == "missing_file"
    assert told == {
        "gone.png": "missing_file",
        "../secret.png": "outside",
        "/etc/passwd": "outside",
        "a.png": "named_twice",
        "metadata.csv:7": "damaged_line",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_is_told_in_a_form_that_can_be_written(tmp_path):
    save(tmp_path, "a.png", caption="x")
    os.rename(tmp_path / "a.png", os.fsencode(tmp_path) + b"/b\xff.png")
    assert found(tmp_path) == {"b\\xff.png": "bad_name"}


def test_hidden_files_and_formats_that_are_not_read(tmp_path):
    for name in ("._a.png", ".cache/b.png", "__MACOSX/c.png", "d.heic", "notes.md"):
        save(tmp_path, "x.png").rename(tmp_path / "y.png")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / "y.png").rename(tmp_path / name)
    save(tmp_path, "good.png", caption="x")
    assert captions(tmp_path) == {"good.png": "x"}
    assert found(tmp_path) == {"d.heic": "other_format"}


def test_pictures_of_trainings_are_not_learned(tmp_path):
    save(tmp_path, "a.png", caption="x")
    save(tmp_path, "training/pencil/samples/000100-01.png")
    (tmp_path / "training/pencil/data/thumbs").mkdir(parents=True)
    save(tmp_path, "lora_weights/pencil.png")
    (tmp_path / "lora_weights/pencil.safetensors").touch()
    assert list(captions(tmp_path, DataEntry(folder=".", caption="x"))) == ["a.png"]


def test_a_limit_takes_the_first_by_number(tmp_path):
    for number in (1, 2, 10):
        save(tmp_path, f"{number}.png", caption="x")
    assert list(captions(tmp_path, DataEntry(folder="x", limit=2))) == ["1.png", "2.png"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"file_name,text\na.png," + "女孩".encode("gbk"), r"metadata\.csv:2: this is not UTF-8 text"),
        (b"a.png,a girl\n", "the first line has to name the columns"),
        (b"file_name\na.png\n", "the first line has to name the columns"),
        (b"", "it says nothing"),
        (b'file_name,text\na.png,"' + b"x" * 200_000 + b'"\n', "this is no CSV: field larger"),
    ],
)
def test_a_table_that_can_not_be_read_says_where(tmp_path, content, told):
    save(tmp_path, "a.png")
    (tmp_path / "metadata.csv").write_bytes(content)
    with pytest.raises(DataError, match=told):
        list_pictures(tmp_path, ENTRY)


def test_two_tables_are_one_too_many(tmp_path):
    write_table(tmp_path, [])
    (tmp_path / "metadata.jsonl").touch()
    with pytest.raises(DataError, match="two tables of captions"):
        list_pictures(tmp_path, ENTRY)


def test_a_caption_file_that_is_none(tmp_path):
    save(tmp_path, "a.png").with_suffix(".txt").write_bytes("女孩".encode("gbk"))
    save(tmp_path, "b.png").with_suffix(".txt").write_bytes(b"x" * 100_000)
    lacks = {it.name: it.lack for it in list_pictures(tmp_path, ENTRY).pictures}
    assert lacks == {"a.png": "a.txt is not UTF-8 text.", "b.png": "b.txt is longer than 64 KB: that is no caption."}


def test_folders_without_pictures(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError, match=r"no picture in this folder. Pictures end in .*\.png"):
        list_pictures(tmp_path / "pictures", ENTRY)
    with pytest.raises(DataError, match=r'no such folder. Did you mean "pictures"'):
        list_pictures(tmp_path / "picture", ENTRY)
    (tmp_path / "pictures.zip").touch()
    with pytest.raises(DataError, match="unpack an archive first"):
        list_pictures(tmp_path / "pictures.zip", ENTRY)


@given(st.text())
def test_a_tidy_caption_is_one_line_and_stays_as_it_is(text):
    once = tidy(text)
    assert tidy(once) == once and once == once.strip() and not set(once) & set("\0\n\r\t\x7f\x85")


# Each picture


def test_pictures_are_opened_as_they_are_seen(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    turned = save(tmp_path, "turned.png", draw(1, 96, 64), exif=exif)
    assert open_picture(turned).size == (64, 96)
    assert np.array_equal(open_picture(turned), np.rot90(draw(1, 96, 64), -1))
    clear = save(tmp_path, "clear.png", Image.new("RGBA", (2, 2), (255, 0, 0, 0)))
    assert open_picture(clear).getpixel((0, 0)) == (255, 255, 255)
    half = save(tmp_path, "half.png", Image.new("LA", (2, 2), (0, 128)))
    assert open_picture(half).getpixel((0, 0)) == (127, 127, 127)
    greys = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    deep = save(tmp_path, "deep.png", Image.fromarray(greys))
    assert np.array_equal(np.asarray(open_picture(deep))[..., 1], greys // 257)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_ways_to_hold_colours_that_are_good(tmp_path, mode):
    assert check(save(tmp_path, "a.png", draw(1).convert("L" if mode == "I;16" else mode).convert(mode))) == ()


@pytest.mark.parametrize(("suffix", "mode"), [(".tif", "LAB"), (".tif", "F"), (".tif", "CMYK"), (".jpg", "CMYK")])
def test_colours_that_would_turn_out_wrong(tmp_path, suffix, mode):
    picture = (
        Image.new("LAB", (64, 64)) if mode == "LAB" else draw(1).convert("L" if mode == "F" else mode).convert(mode)
    )
    assert check(save(tmp_path, f"a{suffix}", picture)) == ("colours",)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".gif", ".tif", ".avif"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.8])
def test_a_cut_file_is_found_in_every_format_wherever_it_is_cut(tmp_path, suffix, share):
    path = save(tmp_path, f"a{suffix}", draw(1, 150, 100))
    assert check(path) == ()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    [reason] = check(path)
    assert reason in ({"empty"} if share == 0 else {"truncated", "damaged", "no_picture"})


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_files_of_several_pictures(tmp_path, suffix):
    assert check(save(tmp_path, f"a{suffix}", save_all=True, append_images=[draw(5)])) == ("animated",)


def test_a_phones_picture_with_more_behind_it_is_one_picture(tmp_path):
    assert check(save(tmp_path, "a.jpg", format="MPO", save_all=True, append_images=[draw(5)])) == ()


def test_a_bomb_is_never_unpacked(tmp_path, recwarn):
    for side, name in ((10_000, "large.png"), (15_000, "larger.png")):
        Image.new("1", (side, side)).save(tmp_path / name)
    listed = [Listed(name, tmp_path / name, "x") for name in ("large.png", "larger.png")]
    checked = check_pictures(listed, Needs(64, 64), tmp_path, lambda *told: None)
    assert [[it.reason for it in one.findings] for one in checked] == [["bomb"], ["bomb"]]
    assert not list(recwarn)


def test_too_small_depends_on_what_is_done_with_pictures(tmp_path):
    path = save(tmp_path, "a.png", draw(1, 128, 48))
    assert check(path, Needs(64, 64)) == ("too_small",)
    assert check(path, Needs(64, 64, any_aspect=True)) == ()
    assert check(path, Needs(80, 80, any_aspect=True)) == ("too_small",)
    assert check(path, Needs(64, 64, upscale=True)) == ()


# Duplicates and words


def test_duplicates_are_found_whatever_their_size_and_quality(tmp_path):
    a, b = draw(1, 200, 160), draw(2, 200, 160)
    noisy = save(tmp_path, "a.jpg", a, quality=50)
    pictures = [
        a,
        b,
        a.resize((100, 80)),
        a.copy(),
        open_picture(noisy),
        Image.new("RGB", (64, 64)),
        Image.new("RGB", (64, 64), "red"),
    ]
    names = ["a", "b", "small", "copy", "noisy", "black", "red"]
    pixels = [str(hash((it.size, it.tobytes()))) for it in pictures]
    found = find_duplicates(names, pixels, [outline_of(it) for it in pictures])
    assert found == [Duplicates("equal", ("a", "copy")), Duplicates("near", ("a", "small", "noisy"))]


def test_different_pictures_are_no_duplicates():
    pictures = [draw(seed) for seed in range(60)]
    assert find_duplicates([*"x" * 60], [str(n) for n in range(60)], [outline_of(it) for it in pictures]) == []
    assert find_duplicates([], [], []) == []


def test_frequent_words_are_chinese_and_english(tmp_path):
    model = recipe_of(tmp_path / "r", data="folder: ../").model_folder
    texts = [
        "一个小女孩坐在沙发上，铅笔",
        "小女孩穿着连衣裙，铅笔, a T-shirt's girl",
        "the girl's T-shirt, 1girl, A girl",
    ]
    assert frequent_words(texts, model) == [("girl", 2), ("小女孩", 2), ("铅笔", 2)]


# The whole


def test_ten_planted_faults_are_told_by_name_and_every_good_picture_survives(tmp_path):
    album(tmp_path / "pictures", 6)
    album(tmp_path / "pictures" / "more", 3, ".jpg")
    faults = plant_faults(tmp_path / "pictures")
    assert len(faults) == 10
    dataset = prepare(tmp_path)
    assert reasons(dataset) == faults
    kept = {sample.name for sample in dataset.samples}
    assert kept == {f"{n:02d}.png" for n in range(1, 7)} | {f"more/{n:02d}.jpg" for n in range(1, 4)} | {"turned.jpg"}
    turned = next(sample for sample in dataset.samples if sample.name == "turned.jpg")
    assert (turned.width, turned.height) == (80, 96) == open_picture(turned.path).size


def test_samples_say_what_training_needs(tmp_path):
    album(tmp_path / "pictures", 2)
    first, *_ = prepare(tmp_path).samples
    assert (first.name, first.caption, first.width, first.height) == ("01.png", "picture 1, 一个女孩", 96, 80)
    assert first.path == tmp_path / "pictures" / "01.png" and len(first.sha256) == 64 and not first.regularizing


def test_the_digest_is_of_pictures_captions_and_order_and_nothing_else(tmp_path):
    album(tmp_path / "a" / "pictures", 3)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "pictures" / "03.png").rename(tmp_path / "b" / "pictures" / "04.png")
    (tmp_path / "b" / "pictures" / "03.txt").rename(tmp_path / "b" / "pictures" / "04.txt")
    first = prepare(tmp_path / "a").digest
    assert prepare(tmp_path / "b").digest == first
    (tmp_path / "b" / "pictures" / "01.txt").write_text("another", encoding="utf-8")
    assert prepare(tmp_path / "b").digest != first


def test_what_is_known_is_not_looked_at_again(tmp_path):
    folder = album(tmp_path / "pictures", 3)
    first = prepare(tmp_path, heard=(heard := []))
    assert heard[-1] == ("checking", 3, 3)
    again = prepare(tmp_path, heard=(quiet := []))
    assert again == first and quiet == []
    for change in (
        lambda: (folder / "01.txt").write_text("new words", encoding="utf-8"),
        lambda: save(folder, "02.png", draw(77)),
        lambda: save(folder, "04.png", draw(78), "one more"),
        lambda: (folder / "03.png").unlink(),
        lambda: (tmp_path / "run/data/report.json").write_text("{", encoding="utf-8"),
        lambda: (tmp_path / "run/data/index.html").unlink(),
    ):
        change()
        prepare(tmp_path, heard=(loud := []))
        assert loud
    prepare(tmp_path, "train: {steps: 7}\n", heard=(quiet := []))
    assert quiet == []


def test_small_copies_of_pictures_that_are_gone_are_gone_too(tmp_path):
    folder = album(tmp_path / "pictures", 3)
    prepare(tmp_path)
    (folder / "03.png").unlink()
    prepare(tmp_path)
    assert len(list((tmp_path / "run/data/thumbs").iterdir())) == 2


@pytest.mark.parametrize(("count", "told"), [(0, "no picture is left of 1"), (1, "only one picture is left of 2")])
def test_too_few_pictures_say_what_became_of_them(tmp_path, count, told):
    album(tmp_path / "pictures", count)
    save(tmp_path / "pictures", "tiny.png", draw(5, 20, 20), "x")
    with pytest.raises(DataError, match=told) as caught:
        prepare(tmp_path)
    assert "left out when checked: 1 too small" in str(caught.value)
    assert "image: {upscale: true}" in str(caught.value)
    assert str(tmp_path / "run/data/index.html") in str(caught.value)
    assert (tmp_path / "run/data/index.html").is_file()
    with pytest.raises(DataError, match=told):
        prepare(tmp_path)


def test_one_picture_alone_is_too_few(tmp_path):
    album(tmp_path / "pictures", 1)
    with pytest.raises(DataError, match=r"there is only one picture\. At least 2 are needed"):
        prepare(tmp_path)


def test_upscaling_takes_small_pictures(tmp_path):
    for number in range(2):
        save(tmp_path / "pictures", f"{number}.png", draw(number, 20, 20), "x")
    recipe = tmp_path / "up.yaml"
    recipe.write_text("data: {folder: pictures}\nimage: {size: 64, upscale: true}\n", encoding="utf-8")
    assert len(prepare_dataset(load_recipe(recipe), tmp_path / "run", lambda *told: None).samples) == 2


def test_a_full_disk_is_told_with_the_folder(tmp_path):
    album(tmp_path / "pictures", 2)

    def full(*told):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RunFolderError, match=r"run/data: the disk is full\. Free some space and train again"):
        prepare_dataset(recipe_of(tmp_path), tmp_path / "run" / "data", full)


def test_equal_pictures_may_be_looked_at_at_once(tmp_path):
    """Each in a thread of its own, they have one small copy."""
    save(tmp_path, "a.png", draw(0, 512, 512))
    listed = [Listed("a.png", tmp_path / "a.png", "a caption")] * 8
    thumbs = tmp_path / "thumbs"
    for _ in range(20):
        thumbs.mkdir()
        checked = check_pictures(listed, NEEDS, thumbs, lambda *told: None)
        assert [path.name for path in thumbs.iterdir()] == [checked[0].thumb]
        shutil.rmtree(thumbs)


def test_ctrl_c_while_checking_stops_at_once(tmp_path):
    album(tmp_path / "pictures", 3)

    def stop(*told):
        raise KeyboardInterrupt

    listed = list_pictures(tmp_path / "pictures", ENTRY).pictures
    with pytest.raises(KeyboardInterrupt):
        check_pictures(listed * 500, Needs(64, 64), tmp_path, stop)
    assert len(list(tmp_path.glob("*.webp"))) <= 3


def test_the_report_can_be_read_by_other_programs(tmp_path):
    album(tmp_path / "pictures", 2)
    dataset = prepare(tmp_path)
    report = json.loads((tmp_path / "run/data/report.json").read_text(encoding="utf-8"))
    assert [it["name"] for it in report["samples"]] == [it.name for it in dataset.samples]
    assert report["looks"]["01.png"]["width"] == 96


def test_preparing_without_a_filter_loads_neither_torch_nor_data_juicer(tmp_path):
    album(tmp_path / "pictures", 2)
    recipe_of(tmp_path)
    code = (
        "import sys; from pathlib import Path; from renderer.trainer.recipe import load_recipe; "
        "from renderer.trainer.dataset import prepare_dataset; "
        f"prepare_dataset(load_recipe({str(tmp_path / 'pencil.yaml')!r}), Path({str(tmp_path / 'data')!r}), print); "
        "heavy = {'torch', 'lightning', 'peft', 'data_juicer', 'datasets', 'modelscope', 'transformers'}; "
        "sys.exit(' '.join(heavy & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert (done.returncode, done.stderr) == (0, "")
