"""LoRA files in other spellings: the same change of the weights, and nothing lost without a word."""

from __future__ import annotations

import json
from itertools import permutations

import pytest
import torch
from safetensors.torch import load_file, save_file

from renderer.errors import LoraError, RunFolderError
from renderer.kolors.card import BUNDLED
from renderer.kolors.files.header import read_header
from renderer.kolors.files.lineage import lineage_of
from renderer.kolors.lora.convert import convert_lora
from renderer.kolors.lora.file import inspect_lora, lora_sha256, unet_shapes
from renderer.kolors.lora.layers import read_lora
from renderer.kolors.lora.merging import change_of
from renderer.kolors.lora.model import fitting_model, kolors_shapes
from renderer.kolors.lora.names import diffsynth1_names, kohya_names, spellings
from renderer.kolors.lora.targets import ENDING, TARGETS
from renderer.manifest import LoraLineage
from renderer.trainer.export import write_card, write_lora
from tests.loras import (
    ALPHA,
    RANK,
    attention_layers,
    facts,
    random_layers,
    random_lora,
    save_diffsynth1,
    save_diffusers,
    save_kohya,
    save_peft,
    use,
)
from tests.test_cli import run
from tests.tiny_kolors import make_folder

__all__ = ["run"]

FOUND = {"diffsynth1": ".ckpt", "peft": ".safetensors", "diffusers": ".safetensors", "kohya": ".safetensors"}
"""The formats that are read, and what their files end in."""
ATTENTION = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
CONVOLUTION = "down_blocks.1.resnets.0.conv1"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return unet_shapes(make_folder(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def pairs(shapes):
    return random_lora(shapes)


@pytest.fixture(scope="module")
def written(tmp_path_factory, pairs, shapes):
    """The same LoRA in every format that is read."""
    folder = tmp_path_factory.mktemp("loras")
    savers = {"diffsynth1": save_diffsynth1, "peft": save_peft, "diffusers": save_diffusers, "kohya": save_kohya}
    return {name: save(folder / f"{name}{FOUND[name]}", pairs, shapes) for name, save in savers.items()}


@pytest.fixture
def pencil(tmp_path, shapes):
    """An export with its card."""
    file = tmp_path / "pencil.safetensors"
    sha256 = write_lora(file, random_layers(shapes), facts())
    write_card(file, facts(), sha256, tmp_path / "pencil.png")
    return file


def changes(path, shapes, **scale):
    """What each layer's weight gains."""
    read = read_lora(use(path, **scale), shapes)
    return {layer: change_of(pair, torch.zeros(shapes[layer])) for layer, pair in read.items()}


def apart(one, other):
    assert one.keys() == other.keys()
    return max(float((one[layer] - other[layer]).abs().max() / one[layer].abs().max()) for layer in one)


def converted(source, to, shapes, folder, **options):
    return convert_lora(source, folder / f"{source.stem}-{to}{ENDING[to]}", to, shapes, **options)


@pytest.mark.parametrize("source", FOUND)
@pytest.mark.parametrize("to", TARGETS)
def test_every_format_becomes_every_other_and_changes_the_weights_alike(written, pairs, shapes, tmp_path, source, to):
    done = converted(written[source], to, shapes, tmp_path, alpha=ALPHA if source == "diffsynth1" else None)
    expected = {layer: ALPHA / RANK * up @ down for layer, (down, up) in pairs.items()}
    assert apart(changes(done.file, shapes), expected) < 1e-6
    assert inspect_lora(done.file).format == {"diffusers": "peft"}.get(to, to)
    assert done.sha256 == lora_sha256(done.file)


@pytest.mark.parametrize("first", TARGETS)
def test_round_trips_return_the_numbers_themselves(pencil, shapes, tmp_path, first):
    """The scale is a power of two here, so that nothing is rounded; other scales are, in the last place."""
    original = load_file(pencil)
    for second, third in permutations(TARGETS, 2):
        folder = tmp_path / f"{second}-{third}"
        folder.mkdir()
        file = pencil
        for to in (first, second, third, "diffusers"):
            file = converted(file, to, shapes, folder).file if file.stem[-len(to) :] != to else file
        again = load_file(file)
        assert again.keys() == original.keys()
        assert all(torch.equal(again[name], original[name]) for name in original)


def test_a_scale_that_is_no_power_of_two_is_kept_to_rounding(pairs, shapes, tmp_path):
    file = save_peft(tmp_path / "x.safetensors", pairs, shapes, alpha=0.7)
    for to in TARGETS:
        assert apart(changes(converted(file, to, shapes, tmp_path).file, shapes), changes(file, shapes)) < 1e-6


def test_halves_stay_halves_only_where_that_loses_nothing(pairs, shapes, tmp_path):
    small = {layer: (down.half(), (up * 1e-3).half()) for layer, (down, up) in pairs.items()}
    for alpha, dtype in ((8.0, "F16"), (0.01, "F32")):
        file = save_peft(tmp_path / f"{alpha}.safetensors", small, shapes, alpha=alpha)
        done = converted(file, "diffusers", shapes, tmp_path)
        tensors = read_header(done.file).tensors
        assert {it.dtype for name, it in tensors.items() if "lora_A" in name} == {"F16"}
        assert dtype in {it.dtype for name, it in tensors.items() if "lora_B" in name}
        assert apart(changes(done.file, shapes), changes(file, shapes)) < 1e-6


def test_a_kohya_file_states_the_alpha_of_each_layer(written, pairs, shapes, tmp_path):
    state = load_file(converted(written["peft"], "kohya", shapes, tmp_path).file)
    assert {float(it) for name, it in state.items() if name.endswith(".alpha")} == {ALPHA}
    layer = state["lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q.lora_up.weight"]
    assert torch.equal(layer, pairs[ATTENTION][1])


@pytest.mark.parametrize("source", ["peft", "diffusers"])
def test_a_kohya_header_says_of_the_tensors_what_is_so(written, shapes, tmp_path, source):
    done = converted(written[source], "kohya", shapes, tmp_path)
    metadata = inspect_lora(done.file).metadata
    assert (metadata["ss_network_dim"], metadata["ss_network_alpha"]) == ("4", "2")
    again = converted(converted(done.file, "diffusers", shapes, tmp_path).file, "kohya", shapes, tmp_path)
    assert {float(it) for name, it in load_file(again.file).items() if name.endswith(".alpha")} == {ALPHA}


def test_kohya_s_own_alphas_are_kept_where_they_differ(pairs, shapes, tmp_path):
    file = save_kohya(tmp_path / "x.safetensors", pairs, shapes)
    state = load_file(file)
    name = "lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q.alpha"
    save_file(state | {name: torch.tensor(3.0)}, file, {"ss_network_alpha": "Dynamic"})
    again = converted(converted(file, "kohya", shapes, tmp_path).file, "kohya", shapes, tmp_path).file
    assert {key: float(it) for key, it in load_file(again).items() if key.endswith("alpha")}[name] == 3.0
    assert apart(changes(again, shapes), changes(file, shapes)) == 0
    baked = converted(file, "diffusers", shapes, tmp_path).file
    assert apart(changes(baked, shapes), changes(file, shapes)) < 1e-6


def test_layers_of_two_ranks_keep_theirs(pairs, shapes, tmp_path):
    mixed = {**pairs, **random_lora(shapes, seed=1, rank=2, layers=list(pairs)[::2])}
    file = save_kohya(tmp_path / "x.safetensors", mixed, shapes)
    for first in TARGETS:
        for second in TARGETS:
            (folder := tmp_path / f"{first}-{second}").mkdir()
            done = converted(converted(file, first, shapes, folder).file, second, shapes, folder)
            assert inspect_lora(done.file).ranks == (2, RANK)
            assert apart(changes(done.file, shapes), changes(file, shapes)) < 1e-6


@pytest.mark.parametrize("first", TARGETS)
@pytest.mark.parametrize("second", TARGETS)
def test_header_and_card_come_along(pencil, shapes, tmp_path, first, second):
    before = inspect_lora(pencil).metadata
    done = converted(converted(pencil, first, shapes, tmp_path).file, second, shapes, tmp_path)
    after = converted(done.file, "diffusers", shapes, tmp_path)
    assert inspect_lora(after.file).metadata == before
    card = json.loads(after.card.read_text(encoding="utf-8"))
    assert (card["losses"], card["sha256"]) == ({"train": 0.125, "validation": 0.25}, after.sha256)
    assert card["converted_from"] == {"file": done.file.name, "sha256": done.sha256}
    known = LoraLineage(recipe="pencil.yaml", step="300", base_model="tiny@1", trigger_words="铅笔画风格, pencil")
    assert lineage_of(done.file, done.sha256) == known


def test_the_samples_are_found_from_another_folder(pencil, shapes, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    done = converted(pencil, "kohya", shapes, tmp_path / "elsewhere")
    assert json.loads(done.card.read_text(encoding="utf-8"))["samples"] == "../pencil.png"


def test_a_file_without_a_card_gets_one_only_for_a_header_it_can_not_hold(written, shapes, tmp_path):
    assert converted(written["kohya"], "diffusers", shapes, tmp_path).card is None
    done = converted(written["kohya"], "diffsynth1", shapes, tmp_path)
    card = json.loads(done.card.read_text(encoding="utf-8"))
    assert card["header"] == {"ss_network_dim": str(RANK), "ss_network_alpha": str(ALPHA)}
    again = converted(done.file, "kohya", shapes, tmp_path)
    assert {float(it) for name, it in load_file(again.file).items() if name.endswith(".alpha")} == {ALPHA}


def test_the_same_content_gives_the_same_bytes(pencil, shapes, tmp_path):
    for to in TARGETS:
        twins = []
        for folder in ("one", "other"):
            (tmp_path / to / folder).mkdir(parents=True)
            twins.append(converted(pencil, to, shapes, tmp_path / to / folder).sha256)
        assert twins[0] == twins[1]


def test_what_a_format_does_not_say_is_told(written, pairs, shapes, tmp_path):
    notes = {to: " ".join(converted(written["diffsynth1"], to, shapes, tmp_path).notes) for to in TARGETS}
    assert all("taken as the rank (4)" in note and "--alpha" in note for note in notes.values())
    assert "lora_alpha=1.0" in notes["diffsynth1"]
    assert "unet_config=pipe.unet.config" in notes["kohya"]
    silent = converted(written["diffsynth1"].rename(tmp_path / "known.ckpt"), "diffusers", shapes, tmp_path, alpha=2.0)
    assert silent.notes == ()
    file = save_peft(tmp_path / "x.safetensors", pairs, shapes, lora_dropout=0.1, bias="none", task_type=None)
    (note,) = converted(file, "diffusers", shapes, tmp_path).notes
    assert "lora_dropout" in note and "bias" not in note and "task_type" not in note


def test_a_header_that_a_ckpt_can_not_hold_is_said_to_be_on_the_card(pencil, pairs, shapes, tmp_path):
    assert "it said is on the card" in " ".join(converted(pencil, "diffsynth1", shapes, tmp_path).notes)
    bare = save_peft(tmp_path / "x.safetensors", pairs, shapes)
    done = converted(bare, "diffsynth1", shapes, tmp_path)
    assert done.card is None and "card" not in " ".join(done.notes)


def dora(path, shapes, layers, with_magnitude=None, of_columns=False):
    """A kohya file, DoRA in all of the layers or in some."""
    names, state = kohya_names(shapes), {}
    for layer, (down, up) in random_lora(shapes, layers=layers).items():
        start = f"lora_unet_{names[layer]}"
        state |= {f"{start}.lora_down.weight": down, f"{start}.lora_up.weight": up, f"{start}.alpha": torch.tensor(2.0)}
        if layer in (with_magnitude or layers):
            size = down.shape[1] if of_columns else up.shape[0]
            magnitude = 0.5 + torch.rand(size, generator=torch.Generator().manual_seed(size))
            ones = (1,) * (down.ndim - 2)
            state[f"{start}.dora_scale"] = magnitude.view((1, -1, *ones) if of_columns else (-1, 1, *ones))
    save_file(state, path)
    return path


def test_doras_go_between_kohya_and_diffusers(shapes, tmp_path):
    file = dora(tmp_path / "x.safetensors", shapes, [ATTENTION, CONVOLUTION])
    there = converted(file, "diffusers", shapes, tmp_path)
    assert load_file(there.file)[f"unet.{CONVOLUTION}.lora_magnitude_vector"].shape == (1, shapes[CONVOLUTION][0], 1, 1)
    back = converted(there.file, "kohya", shapes, tmp_path)
    assert "leaves DoRA magnitudes out" in " ".join(back.notes)
    for layer in (ATTENTION, CONVOLUTION):
        weight = torch.randn(shapes[layer], generator=torch.Generator().manual_seed(1))
        before, *after = (read_lora(use(it), shapes)[layer] for it in (file, there.file, back.file))
        assert all(torch.allclose(change_of(pair, weight), change_of(before, weight), atol=1e-6) for pair in after)


@pytest.mark.parametrize(
    ("to", "options", "words"),
    [
        ("diffsynth1", {}, "can't say that this is a DoRA"),
        ("diffusers", {"with_magnitude": [ATTENTION]}, "1 of its 2 layers are DoRAs, and peft knows all or none"),
        ("diffusers", {"of_columns": True}, "lengths of columns"),
    ],
)
def test_a_dora_that_can_not_be_said_is_refused(shapes, tmp_path, to, options, words):
    file = dora(tmp_path / "x.safetensors", shapes, [ATTENTION, CONVOLUTION], **options)
    with pytest.raises(LoraError, match=words):
        converted(file, to, shapes, tmp_path)
    assert sorted(it.name for it in tmp_path.iterdir()) == ["x.safetensors"]
    kept = converted(file, "kohya", shapes, tmp_path).file
    assert all(torch.equal(it, load_file(file)[name]) for name, it in load_file(kept).items())


def test_a_wide_convolution_can_not_be_said_for_diffsynth(shapes, tmp_path):
    layers = random_lora(shapes, layers=[CONVOLUTION])
    file = save_kohya(tmp_path / "x.safetensors", layers, shapes, original=False)
    with pytest.raises(LoraError, match=r"x\.safetensors: .*convolutions wider than one pixel"):
        converted(file, "diffsynth1", shapes, tmp_path)


def test_nothing_that_is_there_is_overwritten(pencil, shapes, tmp_path):
    target = tmp_path / "other.safetensors"
    target.write_bytes(b"mine")
    with pytest.raises(LoraError, match=r"other\.safetensors: is there already"):
        convert_lora(pencil, target, "kohya", shapes)
    assert target.read_bytes() == b"mine"
    (tmp_path / "third.json").write_text("{}")
    with pytest.raises(LoraError, match=r"third\.json: is there already"):
        convert_lora(pencil, tmp_path / "third.safetensors", "kohya", shapes)


def test_a_wrong_ending_and_a_folder_that_is_not_there_are_told(pencil, shapes, tmp_path):
    with pytest.raises(LoraError, match=r"a file for diffsynth1 ends in \.ckpt"):
        convert_lora(pencil, tmp_path / "x.safetensors", "diffsynth1", shapes)
    with pytest.raises(RunFolderError, match="--out FILE"):
        convert_lora(pencil, tmp_path / "none" / "x.safetensors", "kohya", shapes)


def test_every_layer_of_kolors_has_one_name_in_each_spelling():
    shapes = kolors_shapes()
    spelled = spellings(shapes)
    for names in (kohya_names(shapes), diffsynth1_names(shapes)):
        assert names.keys() == shapes.keys()
        assert len(set(names.values())) == len(names)
        assert all(spelled[name] == layer for layer, name in names.items())
    theirs = diffsynth1_names(shapes)
    block = "down_blocks.1.attentions.0.transformer_blocks.0"
    assert theirs[f"{block}.attn1.to_out.0"] == "blocks.7.transformer_blocks.0.attn1.to_out"
    assert theirs[f"{block}.ff.net.0.proj"] == "blocks.7.transformer_blocks.0.act_fn.proj"
    assert theirs[f"{block}.ff.net.2"] == "blocks.7.transformer_blocks.0.ff"
    assert theirs["add_embedding.linear_2"] == "add_time_embedding.2"
    assert len(attention_layers(shapes)) == 560


def test_a_lora_for_kolors_is_converted_without_its_weights(tmp_path):
    shapes = kolors_shapes()
    file = save_peft(tmp_path / "x.safetensors", random_lora(shapes, rank=1), shapes)
    fitting = fitting_model(file)
    assert (fitting.model, fitting.shapes) == ("kolors", shapes)
    before = read_lora(use(file), shapes)
    for to in TARGETS:
        after = read_lora(use(converted(file, to, shapes, tmp_path).file), shapes)
        assert all(torch.equal(after[layer].down, pair.down) for layer, pair in before.items())
        assert all(
            torch.equal(after[layer].scale * after[layer].up, pair.scale * pair.up) for layer, pair in before.items()
        )


def test_a_lora_that_fits_no_model_names_those_tried(tmp_path):
    file = save_peft(tmp_path / "x.safetensors", random_lora({ATTENTION: (7, 7)}, layers=[ATTENTION]), {})
    with pytest.raises(LoraError, match=r"fits no model known here \(kolors-mini, kolors\)"):
        fitting_model(file)


@pytest.mark.parametrize("alpha", [float("nan"), float("inf"), 0.0, -1.0])
def test_an_alpha_that_nothing_is_trained_with_is_refused(written, shapes, tmp_path, alpha):
    with pytest.raises(LoraError, match=r"--alpha \S+: an alpha is a number above 0\."):
        converted(written["diffsynth1"], "kohya", shapes, tmp_path, alpha=alpha)
    assert not list(tmp_path.glob("*.kohya*"))


def test_an_alpha_that_goes_before_the_file_s_own_is_told(written, shapes, tmp_path):
    done = converted(written["diffusers"], "kohya", shapes, tmp_path, alpha=3.0)
    assert "Taken as trained with alpha 3, whatever the file itself says." in done.notes


def test_the_command_converts_lists_and_inspects(run, tmp_path):
    folder = tmp_path / "lora_weights"
    folder.mkdir()
    shapes = unet_shapes(BUNDLED / "kolors-mini")
    write_lora(
        folder / "pencil.safetensors", random_layers(shapes, layers=[ATTENTION]), facts(base_model="kolors-mini@0")
    )
    code, out, err = run("loras", "convert", "pencil", "--to", "kohya")
    assert code == 0, err
    assert "pencil.kohya.safetensors  for kolors-mini, sha256 " in out
    code, out, err = run(
        "loras", "convert", folder / "pencil.kohya.safetensors", "--to", "diffsynth1", "--out", "mine.ckpt"
    )
    assert code == 0, err
    assert "note: In DiffSynth 1.x load it with lora_alpha=1.0" in out
    assert (tmp_path / "mine.json").is_file()
    code, out, err = run("loras", "list")
    assert code == 0, err
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert lines["pencil"].startswith(
        "peft, rank 4, 1 layer, recipe pencil.yaml, step 300, base model kolors-mini@0, "
        "trigger words 铅笔画风格, pencil, sha256 "
    )
    assert lines["pencil.kohya"].startswith("kohya, rank 4, 1 layer, recipe pencil.yaml, step 300")
    assert lines["mine"].startswith("diffsynth1, rank 4, 1 layer, recipe pencil.yaml, step 300")
    code, out, err = run("loras", "inspect", "mine.ckpt", "--model", "kolors-mini")
    assert code == 0, err
    assert "base model    kolors-mini@0\n" in out
    assert "It fits kolors-mini." in out


def test_the_command_refuses_in_words(run, tmp_path):
    (tmp_path / "lora_weights").mkdir()
    save_peft(tmp_path / "lora_weights/glow.safetensors", random_lora({ATTENTION: (7, 7)}, layers=[ATTENTION]), {})
    code, _, err = run("loras", "convert", "glow", "--to", "khoya")
    assert code == 2 and 'Did you mean "kohya"?' in err
    code, _, err = run("loras", "convert", "glwo", "--to", "kohya")
    assert code == 2 and 'Did you mean "glow"?' in err
    code, _, err = run("loras", "convert", "glow", "--to", "kohya", "--model", "kolors-mini")
    assert code == 2 and "made for another architecture" in err
