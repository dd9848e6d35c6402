"""Data sets of ModelScope: kept as folders, gone on with, never asked for twice."""

from __future__ import annotations

import importlib.util
import io
import json
import re

import pytest
from PIL import Image

from renderer.errors import DataError
from renderer.trainer.data.fetching import fetch_dataset, fetched_folder, is_fetched
from renderer.trainer.data.listing import list_pictures
from renderer.trainer.recipes.recipe_file import DataEntry
from tests.albums import draw, prepare

ENTRY = DataEntry(modelscope="AI-ModelScope/lowres_anime")


def packed(seed: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    draw(seed).save(buffer, kind)
    return buffer.getvalue()


class FakeRows:
    """A data set as MsDataset gives it. `breaks`: rows after which the connection breaks."""

    def __init__(self, rows, breaks=None):
        self.rows, self.breaks, self.loaded = rows, breaks, 0

    def __call__(self, entry):
        self.loaded += 1
        return self

    def __len__(self):
        return len(self.rows)

    def __iter__(self):
        for number, row in enumerate(self.rows):
            if number == self.breaks:
                raise KeyboardInterrupt
            yield row


def three(**options) -> FakeRows:
    rows = [{"id": n, "image": {"bytes": packed(n), "path": None}, "text": f"二次元 {n}"} for n in range(3)]
    return FakeRows(rows, **options)


def silent(*told):
    pass


def test_rows_become_pictures_and_a_table(tmp_path):
    folder = fetch_dataset(ENTRY, silent, three())
    assert folder == fetched_folder(ENTRY) and folder.name.startswith("AI-ModelScope--lowres_anime-")
    pictures = list_pictures(folder, ENTRY).pictures
    assert [(it.name, it.caption) for it in pictures] == [(f"00000{n}.png", f"二次元 {n}") for n in range(3)]
    assert pictures[1].path.read_bytes() == packed(1)


def test_a_data_set_that_is_here_is_not_asked_for(tmp_path):
    fetch_dataset(ENTRY, silent, three())
    assert is_fetched(ENTRY)
    again = three()
    fetch_dataset(ENTRY, silent, again)
    fetch_dataset(ENTRY.model_copy(update={"limit": 2, "caption": "x"}), silent, again)
    assert again.loaded == 0


def test_a_broken_fetch_goes_on_with_what_is_there(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fetch_dataset(ENTRY, silent, three(breaks=2))
    assert not is_fetched(ENTRY)
    first = fetched_folder(ENTRY) / "000000.png"
    before = first.stat().st_mtime_ns
    (fetched_folder(ENTRY) / "000002.part").write_bytes(b"half")
    fetch_dataset(ENTRY, silent, three())
    assert first.stat().st_mtime_ns == before
    assert [it.name for it in list_pictures(fetched_folder(ENTRY), ENTRY).pictures][-1] == "000002.png"
    assert not list(fetched_folder(ENTRY).glob("*.part"))


def test_a_limit_fetches_the_first_and_a_higher_one_the_rest(tmp_path):
    few = ENTRY.model_copy(update={"limit": 2})
    fetch_dataset(few, silent, three())
    assert is_fetched(few) and not is_fetched(ENTRY)
    fetch_dataset(ENTRY, silent, three())
    assert is_fetched(ENTRY) and len(list_pictures(fetched_folder(ENTRY), ENTRY).pictures) == 3


def test_subsets_splits_and_revisions_are_kept_apart():
    entries = [ENTRY.model_copy(update=it) for it in ({}, {"subset": "x"}, {"split": "x"}, {"revision": "x"})]
    assert len({fetched_folder(entry) for entry in entries}) == 4
    hostile = DataEntry(modelscope="../..//evil/../x")
    assert fetched_folder(hostile).parent == fetched_folder(ENTRY).parent


@pytest.mark.parametrize(
    "picture",
    [
        {"bytes": packed(7, "WEBP"), "path": None},
        packed(7, "WEBP"),
        Image.open(io.BytesIO(packed(7))),
    ],
)
def test_pictures_come_in_many_forms(picture):
    folder = fetch_dataset(ENTRY, silent, FakeRows([{"img": picture, "caption": "x"}] * 2))
    first = list_pictures(folder, ENTRY).pictures[0]
    assert Image.open(first.path).size == (96, 80)
    assert first.caption == "x"


def test_a_picture_named_by_its_path(tmp_path):
    (tmp_path / "a.png").write_bytes(packed(3))
    rows = FakeRows([{"image:FILE": str(tmp_path / "a.png"), "text": "x"}])
    folder = fetch_dataset(ENTRY, silent, rows)
    assert (folder / "000000.png").read_bytes() == packed(3)


def test_damaged_pictures_are_kept_to_be_told_by_name(tmp_path):
    rows = [{"image": {"bytes": packed(n)}, "text": "x"} for n in range(2)]
    rows += [{"image": {"bytes": b"junk"}, "text": "x"}, {"image": None, "text": "x"}]
    fetch_dataset(ENTRY, silent, FakeRows(rows))
    dataset = prepare(tmp_path, data="modelscope: AI-ModelScope/lowres_anime")
    assert len(dataset.samples) == 2
    assert {it.name: it.reason for it in dataset.findings} == {
        "000002.jpg": "no_picture",
        "000003.jpg": "missing_file",
    }


@pytest.mark.parametrize(
    ("entry", "rows", "told"),
    [
        ({"image": "pic"}, [{"image": packed(1), "text": "x"}], 'there is no column "pic". It has image, text.'),
        ({"text": "tags"}, [{"image": packed(1), "text": "x"}], 'there is no column "tags". It has image, text.'),
        ({}, [{"label": 3, "text": "x"}], "no column holds pictures. It has label, text."),
        ({}, [("train", "x")], "its rows have no columns"),
    ],
)
def test_columns_that_are_not_there(entry, rows, told):
    with pytest.raises(DataError, match=re.escape(told)):
        fetch_dataset(ENTRY.model_copy(update=entry), silent, FakeRows(rows))


def test_progress_is_told(tmp_path):
    heard = []
    fetch_dataset(ENTRY, lambda *told: heard.append(told), three())
    assert heard == [(1, 3), (2, 3), (3, 3)]


def test_the_mark_says_what_the_folder_is(tmp_path):
    mark = json.loads((fetch_dataset(ENTRY, silent, three()) / "fetched.json").read_text(encoding="utf-8"))
    assert mark["modelscope"] == ENTRY.modelscope and mark["split"] == "train" and mark["rows"] == mark["of"] == 3


needs_modelscope = pytest.mark.skipif(
    importlib.util.find_spec("addict") is None or importlib.util.find_spec("oss2") is None,
    reason="modelscope[datasets] is not installed",
)


@needs_modelscope
def test_the_real_msdataset_reads_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    folder = tmp_path / "set" / "train"
    folder.mkdir(parents=True)
    lines = []
    for number in range(3):
        (folder / f"{number}.png").write_bytes(packed(number))
        lines.append(json.dumps({"file_name": f"{number}.png", "text": f"二次元 {number}"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    entry = DataEntry(modelscope=str(tmp_path / "set"))
    fetched = fetch_dataset(entry, silent)
    pictures = list_pictures(fetched, entry).pictures
    assert [it.path.read_bytes() for it in pictures] == [packed(number) for number in range(3)]
    assert [it.caption for it in pictures] == [f"二次元 {number}" for number in range(3)]
    with pytest.raises(DataError, match=r'split nope, revision master.*Unknown split "nope"'):
        fetch_dataset(entry.model_copy(update={"split": "nope"}), silent)


@pytest.mark.slow
@needs_modelscope
def test_offline_says_what_to_do(monkeypatch):
    monkeypatch.setenv("MODELSCOPE_DOMAIN", "127.0.0.1:9")
    with pytest.raises(DataError, match=r"can't be fetched from ModelScope: .* run the same command again to go on"):
        fetch_dataset(DataEntry(modelscope="nobody/nothing"), silent)


@pytest.mark.skipif(importlib.util.find_spec("addict") is not None, reason="modelscope[datasets] is installed")
def test_missing_packages_are_told():
    with pytest.raises(DataError, match=r'Run: pip install "kolors-storyboard\[train\]"'):
        fetch_dataset(ENTRY, silent)
