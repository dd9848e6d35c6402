"""Where LoRAs come from: read from header or card, kept on record, and shown on the sheet."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from renderer.kolors.files.lineage import lineage_of
from renderer.kolors.lora.file import lora_sha256
from renderer.looking.viewing import view_page
from renderer.manifest import LoraLineage, read_manifest
from tests.stories import STORY, render_fake, write_story

LAYER = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"


def lora(path: Path, width: int = 8, **metadata: str) -> Path:
    """A LoRA file of one layer and rank 1, of zeros."""
    size = 4 * width
    header = {"__metadata__": metadata} | {
        f"unet.{LAYER}.lora_{side}.weight": {"dtype": "F32", "shape": shape, "data_offsets": [place, place + size]}
        for side, shape, place in (("A", [1, width], 0), ("B", [width, 1], size))
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(2 * size))
    return path


def card(path: Path, **facts: object) -> None:
    path.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")


def known(path: Path) -> LoraLineage:
    return lineage_of(path, lora_sha256(path))


def test_a_header_tells_in_kohya_s_names_and_the_model_spec_s(tmp_path):
    path = lora(tmp_path / "a.safetensors", **{"ss_steps": "500", "modelspec.trigger_phrase": "mei"})
    assert known(path) == LoraLineage(step="500", trigger_words="mei")


def test_the_card_goes_before_the_header(tmp_path):
    path = lora(tmp_path / "a.safetensors", ss_steps="500", ss_base_model_version="kolors")
    card(path, recipe={"name": "pencil"}, step=300, trigger_words=["mei", "lin"])
    assert known(path) == LoraLineage(recipe="pencil", step="300", base_model="kolors", trigger_words="mei, lin")


def test_a_card_of_another_file_is_not_believed(tmp_path):
    path = lora(tmp_path / "a.safetensors")
    card(path, recipe="pencil", sha256="ab" * 32)
    assert known(path) == LoraLineage()
    card(path, recipe="pencil", sha256=lora_sha256(path))
    assert known(path).recipe == "pencil"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"recipe": [[{}]], "step": true}'])
def test_a_card_that_is_none_says_nothing(tmp_path, content):
    path = lora(tmp_path / "a.safetensors")
    path.with_suffix(".json").write_bytes(content)
    assert known(path) == LoraLineage()


def test_a_file_that_is_gone_or_damaged_says_nothing(tmp_path):
    assert lineage_of(tmp_path / "gone.safetensors", "ab" * 32) == LoraLineage()
    (tmp_path / "bad.safetensors").write_bytes(b"scribble")
    assert lineage_of(tmp_path / "bad.safetensors", "ab" * 32) == LoraLineage()
    (tmp_path / "old.ckpt").write_bytes(b"scribble")
    card(tmp_path / "old.ckpt", recipe="from elsewhere")
    assert lineage_of(tmp_path / "old.ckpt", "ab" * 32).recipe == "from elsewhere"


def test_a_long_value_is_cut_and_stays_on_one_line(tmp_path):
    path = lora(tmp_path / "a.safetensors", ss_training_comment="a\n" * 1000)
    assert len(known(path).recipe) == 200
    assert "\n" not in known(path).recipe


@pytest.fixture
def project(tmp_path):
    """A folder with a story that a LoRA with a card was used in."""
    (tmp_path / "lora_weights").mkdir()
    path = lora(tmp_path / "lora_weights/glow.safetensors", width=width_of_the_miniature())
    card(path, recipe="<script>alert(1)</script>", step=300)
    render_fake(write_story(tmp_path, "loras: [{name: glow, strength: 0.6}]\n" + STORY))
    return tmp_path


def width_of_the_miniature() -> int:
    from renderer.kolors.card import BUNDLED
    from renderer.kolors.lora.file import unet_shapes

    return unet_shapes(BUNDLED / "kolors-mini")[LAYER][0]


def shown(project: Path):
    folder = project / "renders/tale"
    return view_page(read_manifest(folder), folder).scenes[0].main.loras[0]


def test_the_sheet_shows_it_as_text(project):
    assert (shown(project).name, shown(project).strength) == ("glow", 0.6)
    assert shown(project).lineage == LoraLineage(recipe="<script>alert(1)</script>", step="300")
    assert "<script>alert" not in (project / "renders/tale/index.html").read_text(encoding="utf-8")


def test_what_was_known_outlives_the_card(project):
    (project / "lora_weights/glow.json").unlink()
    render_fake(project / "tale.yaml")
    assert shown(project).lineage.step == "300"


def test_a_card_that_is_written_anew_is_read_anew(project):
    card(project / "lora_weights/glow.safetensors", recipe="glow", step=400)
    render_fake(project / "tale.yaml")
    assert shown(project).lineage.step == "400"
