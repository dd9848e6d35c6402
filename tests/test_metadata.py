"""What pictures carry inside, read back by us and by exiftool."""

from __future__ import annotations

import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from renderer.errors import PictureError
from renderer.inspection import picture_record
from renderer.kolors.card import SAMPLERS
from renderer.metadata import (
    GUARD,
    INFOTEXT,
    RECORD_TEXT,
    SOURCE_TYPE,
    XMP_TEXT,
    encode_png,
    parse_infotext,
    read_record,
    read_texts,
    write_infotext,
)
from renderer.take import TakeLora, canonical_json, key_of
from tests.fakes import make_take, picture_of

LORAS = (TakeLora("pencil", "1a2b3c4d5e" + "0" * 54, 0.8), TakeLora("glow, soft: very", "ff" * 32, 1.0))


def test_a_picture_carries_record_infotext_and_the_mark_of_its_origin(tmp_path):
    take = make_take(loras=LORAS)
    file = tmp_path / "a.png"
    file.write_bytes(encode_png(take, picture_of(take), "45dee52b"))
    texts = read_texts(file)
    assert texts[RECORD_TEXT] == canonical_json(take.record)
    assert key_of(read_record(file)) == take.key
    assert f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"' in texts[XMP_TEXT]
    assert texts[INFOTEXT].startswith("一个女孩 <lora:pencil:0.8>")
    assert (np.asarray(Image.open(file)) == picture_of(take)).all()


def test_the_infotext_is_a1111s():
    text = write_infotext(make_take(prompt="a girl", negative="blur", seed=965400086, loras=LORAS[:1]), "45dee52b")
    prompt, negative, last = text.split("\n")
    assert prompt == "a girl <lora:pencil:0.8>"
    assert negative == "Negative prompt: blur"
    assert last.startswith(
        "Steps: 25, Sampler: DDIM, CFG scale: 4, Seed: 965400086, Size: 64x64, Model hash: 45dee52b, "
        'Model: kolors-mini, RNG: CPU, Lora hashes: "pencil: 1a2b3c4d5e", Version: '
    )


def test_the_spacing_of_noise_levels_is_named_where_it_is_not_the_plain_one():
    assert "Sampler: DPM++ 2M, Schedule type: Karras, " in write_infotext(make_take(sampler="dpm++2m"))

    trailing = write_infotext(make_take(sampler="euler-trailing"))
    assert "Sampler: Euler, Schedule type: SGM Uniform, " in trailing


QUICK = {"guidance_interval": (0.2, 0.85), "cache_interval": 3, "precision": "fp8", "draft": True}


def test_what_makes_a_take_quicker_is_named_where_there_is_something():
    assert "RNG: CPU, Version" in write_infotext(make_take())
    settings = "Guidance interval: 0.2-0.85, Cache interval: 3, Precision: fp8, Draft: true, "
    assert settings in write_infotext(make_take(**QUICK))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_picture_without_its_record_still_says_how_it_was_painted(tmp_path, sampler):
    take, texts = make_take(sampler=sampler, **QUICK), PngInfo()
    texts.add_text(INFOTEXT, write_infotext(take))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=texts)
    names = ("sampler", "steps", "guidance", "guidance_interval", "cache_interval", "precision", "draft", "seed")
    found = picture_record(tmp_path / "a.png")
    assert {name: found[name] for name in names} == {name: take.record[name] for name in names}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("Sampler: Euler", {"sampler": "euler"}),
        ("Sampler: Euler, Schedule type: Automatic", {"sampler": "euler"}),
        ("Sampler: DPM++ 2M Karras", {"sampler": "dpm++2m"}),
        ("Sampler: Heun", {}),
        ("Guidance interval: early, Cache interval: x, Precision: int4, Draft: no", {"draft": False}),
    ],
)
def test_settings_of_other_programs_are_taken_as_far_as_they_are_known(tmp_path, settings, expected):
    texts = PngInfo()
    texts.add_text(INFOTEXT, f"a cat\nSteps: 20, {settings}, Seed: 1")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=texts)
    common = {"prompt": "a cat", "negative": "", "loras": [], "steps": 20, "seed": 1}
    assert picture_record(tmp_path / "a.png") == common | expected


def test_without_a_negative_there_is_no_negative_line():
    assert "Negative prompt" not in write_infotext(make_take(negative=""))


def test_a_prompt_line_that_looks_like_a_negative_is_joined():
    text = write_infotext(make_take(prompt="a girl\nNegative prompt: none", negative="blur"))
    assert parse_infotext(text).prompt == "a girl Negative prompt: none"
    first = write_infotext(make_take(prompt="Negative prompt: x", negative=""))
    assert first.startswith(GUARD)
    assert parse_infotext(first).prompt == "Negative prompt: x"


def test_an_infotext_of_a1111_is_understood():
    info = parse_infotext(
        "a cat, <lora:fur:0.5>\nNegative prompt: dog\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 512x512, "
        'Lora hashes: "fur: abc", Version: v1.10'
    )
    assert (info.prompt, info.negative, info.loras) == ("a cat,", "dog", {"fur": 0.5})
    assert info.settings["Lora hashes"] == "fur: abc"


def test_text_without_settings_is_all_prompt():
    assert parse_infotext("just a prompt\nof two lines").prompt == "just a prompt\nof two lines"


LINES = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)
PROMPTS = st.lists(LINES | st.sampled_from(['a "b", c: d', "Steps: 1, Seed: 2, Size: 3x4", "{a|b}"]), max_size=4).map(
    lambda lines: "\n".join(lines).strip()
)


@settings(max_examples=1000, deadline=None)
@given(prompt=PROMPTS.filter(bool), negative=PROMPTS)
def test_a_thousand_prompts_come_back_as_they_were(prompt, negative):
    if "Negative prompt:" in prompt + negative or prompt.endswith(">"):
        return
    take = make_take(prompt=prompt, negative=negative, loras=LORAS[:1])
    info = parse_infotext(write_infotext(take, "ab, cd: ef"))
    assert (info.prompt, info.negative) == (prompt, negative)
    assert info.settings["Model hash"] == "ab, cd: ef"
    assert info.settings["Seed"] == "0"
    assert info.loras == {"pencil": 0.8}


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"0" * 40])
def test_a_file_that_is_no_whole_picture_is_refused(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(PictureError, match=r"a\.png"):
        read_texts(tmp_path / "a.png")


def test_a_truncated_picture_is_refused(tmp_path):
    take = make_take()
    whole = encode_png(take, np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    (tmp_path / "a.png").write_bytes(whole[:-2000])
    with pytest.raises(PictureError, match="not a whole picture"):
        read_record(tmp_path / "a.png")


def test_a_foreign_picture_has_no_record(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(PictureError, match="no storyboard record"):
        read_record(tmp_path / "a.png")


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": 5},
        {"seed": "0"},
        {"width": True},
        {"guidance": "nan"},
        {"loras": [1]},
        {"loras": [{"sha256": 7, "strength": 1.0}]},
        {"embeddings": "tang"},
        {"steps": None},
        {"guidance_interval": 0.5},
        {"cache_interval": "3"},
    ],
)
def test_a_record_that_someone_changed_is_told(tmp_path, change):
    path = with_record(tmp_path, json.dumps(make_take().record | change))
    with pytest.raises(PictureError, match="unknown kind"):
        read_record(path)


@pytest.mark.parametrize("text", ["{", '{"prompt": NaN}', "[" * 100_000])
def test_a_damaged_record_is_told(tmp_path, text):
    with pytest.raises(PictureError, match="damaged"):
        read_record(with_record(tmp_path, text))


def test_a_record_may_hold_more_than_is_known(tmp_path):
    record = make_take().record | {"from a newer version": [1]}
    assert read_record(with_record(tmp_path, json.dumps(record))) == record


def with_record(folder, text):
    texts = PngInfo()
    texts.add_itxt(RECORD_TEXT, text)
    Image.new("RGB", (8, 8)).save(folder / "picture.png", pnginfo=texts)
    return folder / "picture.png"


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
def test_a1111s_comment_in_a_jpeg_is_read(tmp_path, encoding):
    text = "一只猫\nSteps: 20, Seed: 1, Size: 8x8"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode(encoding)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=exif)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    assert read_texts(tmp_path / "a.jpg")[INFOTEXT] == text


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_reads_the_mark(tmp_path):
    take = make_take()
    (tmp_path / "a.png").write_bytes(encode_png(take, picture_of(take)))
    ran = subprocess.run(
        ["exiftool", "-j", "-n", "-XMP-iptcExt:DigitalSourceType", "-Parameters", tmp_path / "a.png"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout)[0]["DigitalSourceType"] == SOURCE_TYPE
