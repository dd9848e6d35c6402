"""What a training leaves behind is loaded by other programs as by ours, and tells where it comes from."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save

from renderer.kolors.card import BUNDLED
from renderer.kolors.files.header import read_header
from renderer.kolors.files.lineage import lineage_of
from renderer.kolors.layout import read_json
from renderer.kolors.lora.convert import convert_lora
from renderer.kolors.lora.file import inspect_lora, lora_sha256, unet_shapes
from renderer.kolors.lora.model import KOLORS_UNET, kolors_shapes
from renderer.kolors.weights import load_denoiser
from renderer.manifest import LoraLineage
from renderer.trainer.export import TrainedLayer, write_card, write_lora
from tests.loras import ALPHA, RANK, example, facts, predict_diffusers, predict_ours, random_layers, random_lora, use
from tests.stories import STORY
from tests.test_plan import replan

CONVOLUTION = "down_blocks.1.resnets.0.conv1"
SHAPES = ("plain", "dora", "of two ranks", "with a convolution")


@pytest.fixture(scope="module")
def shapes(folder):
    return unet_shapes(folder)


@pytest.fixture(scope="module")
def trained(shapes):
    plain = random_layers(shapes)
    return {
        "plain": plain,
        "dora": random_layers(shapes, dora=True),
        "of two ranks": {**plain, **random_layers(shapes, rank=2, layers=list(plain)[::3])},
        "with a convolution": {**plain, **random_layers(shapes, layers=[CONVOLUTION])},
    }


def exported(tmp_path, layers, **changes):
    write_lora(tmp_path / "pencil.safetensors", layers, facts(**changes))
    return tmp_path / "pencil.safetensors"


@pytest.mark.parametrize("kind", SHAPES)
def test_diffusers_loads_it_as_our_own_loader_does(folder, trained, tmp_path, kind):
    file = exported(tmp_path, trained[kind])
    ours, theirs = predict_ours(folder, [use(file)]), predict_diffusers(folder, file)
    assert (ours - theirs).abs().max() < 1e-5 * max(1.0, float(theirs.abs().max()))
    assert (ours - predict_ours(folder)).abs().max() > 0.01


@pytest.mark.parametrize("kind", [kind for kind in SHAPES if kind != "dora"])
def test_diffusers_loads_its_kohya_twin_alike(folder, shapes, trained, tmp_path, kind):
    twin = convert_lora(exported(tmp_path, trained[kind]), tmp_path / "kohya.safetensors", "kohya", shapes).file
    ours, theirs = predict_ours(folder, [use(twin)]), predict_diffusers(folder, twin)
    assert (ours - theirs).abs().max() < 1e-5 * max(1.0, float(theirs.abs().max()))
    assert (ours - predict_ours(folder)).abs().max() > 0.01


def test_the_kohya_twin_states_the_alpha_trained_with(shapes, trained, tmp_path):
    twin = convert_lora(exported(tmp_path, trained["plain"]), tmp_path / "kohya.safetensors", "kohya", shapes).file
    state = load_file(twin)
    alphas = [float(tensor) for name, tensor in state.items() if name.endswith(".alpha")]
    assert alphas == [ALPHA] * len(trained["plain"])
    metadata = inspect_lora(twin).metadata
    assert (metadata["ss_network_dim"], metadata["ss_network_alpha"]) == (str(RANK), "2")
    kohya = "lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q"
    layer = trained["plain"]["mid_block.attentions.0.transformer_blocks.0.attn1.to_q"]
    assert torch.equal(state[f"{kohya}.lora_up.weight"], layer.up)
    assert torch.equal(state[f"{kohya}.lora_down.weight"], layer.down)


def test_the_bundled_miniature_takes_it_in_diffusers_too(tmp_path):
    folder = BUNDLED / "kolors-mini"
    file = exported(tmp_path, random_layers(unet_shapes(folder)))
    ours, theirs = predict_ours(folder, [use(file)]), predict_diffusers(folder, file)
    assert (ours - theirs).abs().max() < 1e-5 * max(1.0, float(theirs.abs().max()))
    assert (theirs - predict_diffusers(folder)).abs().max() > 0.01


@pytest.mark.parametrize("kind", SHAPES)
def test_peft_itself_loads_it(folder, trained, tmp_path, kind):
    from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict

    file = exported(tmp_path, trained[kind])
    state = {name.removeprefix("unet."): tensor for name, tensor in load_file(file).items()}
    stated = json.loads(inspect_lora(file).metadata["lora_adapter_metadata"])
    config = LoraConfig(**{name.removeprefix("unet."): value for name, value in stated.items()})
    denoiser = load_denoiser(folder, torch.device("cpu"), torch.float32)
    inject_adapter_in_model(config, denoiser.unet)
    outcome = set_peft_model_state_dict(denoiser.unet, state)
    assert outcome.unexpected_keys == []
    assert not [name for name in outcome.missing_keys if "lora" in name]
    latents, timestep, states, added = example(read_json(folder / "unet/config.json"))
    with torch.no_grad():
        theirs = denoiser.unet(latents, timestep, denoiser.text_projection(states), added_cond_kwargs=added)
    ours = predict_ours(folder, [use(file)])
    assert (ours - theirs).abs().max() < 1e-5 * max(1.0, float(theirs.abs().max()))


def test_the_scale_is_baked_in_for_programs_that_take_alpha_for_the_rank(trained, tmp_path):
    state = load_file(exported(tmp_path, trained["plain"]))
    assert not [name for name in state if "alpha" in name]
    for layer, own in trained["plain"].items():
        assert torch.equal(state[f"unet.{layer}.lora_A.weight"], own.down)
        assert torch.equal(state[f"unet.{layer}.lora_B.weight"], own.up * (ALPHA / RANK))


def test_kolors_own_560_layers_are_named_for_diffusers_in_both_spellings(tmp_path):
    """By diffusers' own reading of the files: every layer's two halves, by the UNet's names, none left over."""
    from diffusers import KolorsPipeline, UNet2DConditionModel
    from diffusers.utils import convert_unet_state_dict_to_peft

    shapes = kolors_shapes()
    layers = {name: TrainedLayer(down, up, 0.5) for name, (down, up) in random_lora(shapes, rank=1).items()}
    assert len(layers) == 560
    file = exported(tmp_path, layers, rank=1, alpha=0.5)
    twin = convert_lora(file, tmp_path / "kohya.safetensors", "kohya", shapes).file
    with torch.device("meta"):
        unet = UNet2DConditionModel(**KOLORS_UNET, encoder_hid_dim=4096, encoder_hid_dim_type="text_proj")
    for path, scale in ((file, 0.5), (twin, 1.0)):
        read, alphas = KolorsPipeline.lora_state_dict(str(path), unet_config=unet.config)
        state = convert_unet_state_dict_to_peft({name.removeprefix("unet."): it for name, it in read.items()})
        assert set(state) == {f"{name}.lora_{half}.weight" for name in layers for half in "AB"}
        assert all(torch.equal(state[f"{name}.lora_B.weight"], own.up * scale) for name, own in layers.items())
        assert set((alphas or {}).values()) == ({0.5} if path == twin else set())


def test_the_same_training_gives_the_same_bytes(trained, tmp_path):
    first = write_lora(tmp_path / "a.safetensors", trained["plain"], facts())
    turned = dict(reversed(trained["plain"].items()))
    again = write_lora(tmp_path / "b.safetensors", turned, facts(date="2027-01-01T00:00:00Z"))
    assert first == again == lora_sha256(tmp_path / "a.safetensors")
    names = list(read_header(tmp_path / "a.safetensors").metadata)
    assert names == sorted(names)
    assert write_lora(tmp_path / "c.safetensors", trained["plain"], facts(step=301)) != first


def test_the_header_speaks_kohya_s_words_and_the_model_spec_s(trained, tmp_path):
    metadata = inspect_lora(exported(tmp_path, trained["plain"])).metadata
    expected = {
        "ss_base_model_version": "tiny@1",
        "ss_network_module": "networks.lora",
        "ss_network_dim": "4",
        "ss_network_alpha": "2",
        "ss_network_args": "{}",
        "ss_steps": "300",
        "ss_resolution": "(96, 64)",
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "tiny/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": "Pencil",
        "modelspec.resolution": "96x64",
        "modelspec.trigger_phrase": "铅笔画风格, pencil",
        "modelspec.license": "CC0-1.0",
        "modelspec.tags": "tiny, lora",
    }
    assert {name: metadata[name] for name in expected} == expected
    assert "2026" not in "".join(metadata.values())


def test_the_hashes_are_those_that_kohya_s_trainer_computes(trained, tmp_path):
    """Of the tensors' bytes as the safetensors library lays them out, which keeps only `ss_…` of the metadata."""
    file = exported(tmp_path, trained["of two ranks"])
    metadata = inspect_lora(file).metadata
    content = save(load_file(file), {name: it for name, it in metadata.items() if name.startswith("ss_")})
    expected = hashlib.sha256(content[8 + int.from_bytes(content[:8], "little") :]).hexdigest()
    assert metadata["sshs_model_hash"] == expected
    assert metadata["modelspec.hash_sha256"] == f"0x{expected}"


def test_what_is_not_known_is_not_said(trained, tmp_path):
    file = exported(tmp_path, trained["dora"], licence="", trigger_words=(), title="")
    metadata = inspect_lora(file).metadata
    assert not {"modelspec.license", "modelspec.trigger_phrase"} & metadata.keys()
    assert metadata["modelspec.title"] == "pencil"
    assert json.loads(metadata["ss_network_args"]) == {"dora_wd": "True"}


def test_the_card_tells_the_lineage_and_names_its_file_by_content(trained, tmp_path):
    file = exported(tmp_path, trained["plain"])
    path = write_card(file, facts(), lora_sha256(file), tmp_path / "pencil.png")
    card = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == "pencil.json"
    assert card["losses"] == {"train": 0.125, "validation": 0.25}
    assert (card["data_digest"], card["date"], card["samples"]) == ("bb" * 32, "2026-01-02T03:04:05Z", "pencil.png")
    known = LoraLineage(recipe="pencil.yaml", step="300", base_model="tiny@1", trigger_words="铅笔画风格, pencil")
    assert lineage_of(file, lora_sha256(file)) == known
    path.unlink()
    assert lineage_of(file, lora_sha256(file)) == known


def test_trained_layers_may_be_parts_of_a_training(shapes, trained, tmp_path):
    layers = {
        name: TrainedLayer(torch.nn.Parameter(own.down), torch.nn.Parameter(own.up), own.alpha)
        for name, own in trained["plain"].items()
    }
    assert write_lora(tmp_path / "a.safetensors", layers, facts()) == write_lora(
        tmp_path / "b.safetensors", trained["plain"], facts()
    )


def in_a_story(tmp_path, base_model, **changes):
    """A story that uses a LoRA for the bundled miniature twice, whose card names that base model."""
    (tmp_path / "lora_weights").mkdir()
    shapes = unet_shapes(BUNDLED / "kolors-mini")
    layer = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    file = tmp_path / "lora_weights/pencil.safetensors"
    sha256 = write_lora(file, random_layers(shapes, layers=[layer]), facts(base_model=base_model))
    write_card(file, facts(base_model=base_model), sha256)
    story = STORY.replace("size: 64x64\n", "loras: [pencil]\n") + "    loras: [{name: pencil, strength: 0.5}]\n"
    return replan(tmp_path, story, **changes)


def test_a_lora_of_another_edition_is_warned_about_once(tmp_path):
    plan = in_a_story(tmp_path, "kolors-mini@0")
    (warning,) = map(str, plan.warnings)
    assert "tale.yaml:3:9: loras[0]: pencil was trained on kolors-mini@0, and this story" in warning
    assert plan.model in warning


def test_a_lora_of_the_same_edition_or_of_none_that_is_named_is_not_warned_about(tmp_path):
    from renderer.kolors.card import read_card

    edition = read_card(BUNDLED / "kolors-mini").edition
    for number, base_model in enumerate((edition, "sdxl_base_v1-0")):
        (tmp_path / str(number)).mkdir()
        assert in_a_story(tmp_path / str(number), base_model).warnings == ()


def test_weights_that_are_not_here_are_not_called_another_edition(tmp_path, monkeypatch):
    story = "model: kolors\n" + STORY.replace("size: 64x64\n", "loras: [pencil]\n")
    (tmp_path / "lora_weights").mkdir()
    file = tmp_path / "lora_weights/pencil.safetensors"
    layer = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    for base_model, warned in (("kolors@0123456789ab", False), ("kolors-mini@2", True)):
        write_lora(file, random_layers({layer: (8, 8)}, layers=[layer]), facts(base_model=base_model))
        warnings = [str(it) for it in replan(tmp_path, story).warnings if "trained on" in str(it)]
        assert bool(warnings) is warned
