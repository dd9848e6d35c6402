"""LoRAs of every spelling give the same weights and the same pictures, and leave without a trace."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from renderer.errors import LoraError
from renderer.kolors.lora.file import check_fit, inspect_lora, unet_shapes
from renderer.kolors.lora.layers import read_lora
from renderer.kolors.lora.merging import MergedUNet
from renderer.kolors.lora.names import places, spellings
from renderer.kolors.weights import build_unet, load_denoiser
from renderer.take import Failed, Painted
from tests.loras import (
    ALPHA,
    RANK,
    attention_layers,
    random_lora,
    save_diffsynth1,
    save_diffusers,
    save_kohya,
    save_peft,
    use,
)
from tests.test_kolors_painter import paint, pixels, take
from tests.test_kolors_parity import KOLORS_UNET

CPU = torch.device("cpu")
KOLORS_PLACES = {
    "down_blocks.1.attentions": {7: "input_blocks_4_1", 10: "input_blocks_5_1"},
    "down_blocks.2.attentions": {15: "input_blocks_7_1", 18: "input_blocks_8_1"},
    "mid_block.attentions": {21: "middle_block_1"},
    "up_blocks.0.attentions": {25: "output_blocks_0_1", 28: "output_blocks_1_1", 31: "output_blocks_2_1"},
    "up_blocks.1.attentions": {35: "output_blocks_3_1", 38: "output_blocks_4_1", 41: "output_blocks_5_1"},
}
"""Read from DiffSynth-Studio 1.1.9's UNet and from SDXL's own; held against the derived map."""


@pytest.fixture(scope="module")
def shapes(folder):
    return unet_shapes(folder)


@pytest.fixture(scope="module")
def pairs(shapes):
    return random_lora(shapes)


@pytest.fixture(scope="module")
def kolors_shapes():
    with torch.device("meta"):
        unet = build_unet(dict(KOLORS_UNET))
    return {name.removesuffix(".weight"): tuple(it.shape) for name, it in unet.named_parameters() if it.ndim > 1}


@pytest.fixture(scope="module")
def written(tmp_path_factory, pairs, shapes):
    """The same LoRA in every spelling, with what the file itself doesn't say."""
    folder = tmp_path_factory.mktemp("loras")
    return {
        "diffsynth1": use(save_diffsynth1(folder / "one.ckpt", pairs, shapes), alpha=ALPHA, rank=RANK),
        "diffsynth_alpha": use(save_diffsynth1(folder / "same.ckpt", pairs, shapes), diffsynth_alpha=ALPHA / RANK),
        "peft": use(save_peft(folder / "two.safetensors", pairs, shapes)),
        "peft without prefix": use(save_peft(folder / "bare.safetensors", pairs, shapes, prefix="")),
        "diffusers": use(save_diffusers(folder / "three.safetensors", pairs, shapes)),
        "kohya": use(save_kohya(folder / "four.safetensors", pairs, shapes)),
        "kohya, diffusers' names": use(save_kohya(folder / "five.safetensors", pairs, shapes, original=False)),
    }


def merged(folder, *loras):
    unet = load_denoiser(folder, CPU, torch.float32).unet
    MergedUNet(unet, unet_shapes(folder)).use(loras)
    return unet.state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_the_derived_map_is_kolors_own(kolors_shapes):
    found = {place.name: place for place in places(kolors_shapes) if "attentions" in place.name}
    expected = {
        f"{name}.{order}": (number, kohya)
        for name, blocks in KOLORS_PLACES.items()
        for order, (number, kohya) in enumerate(blocks.items())
    }
    assert {name: (place.number, place.kohya) for name, place in found.items()} == expected


def test_kolors_has_560_attention_layers(kolors_shapes):
    layers = attention_layers(kolors_shapes)
    assert len(layers) == 560
    assert sum(16 * sum(kolors_shapes[layer]) for layer in layers) == 23_224_320
    spelled = spellings(kolors_shapes)
    assert len({name for name in spelled if spelled[name] in set(layers)}) >= 4 * 560


def test_every_layer_of_kolors_has_its_sdxl_name(kolors_shapes):
    """kohya's modules for residual blocks and samplers too: each layer has two underscored spellings."""
    spelled = spellings(kolors_shapes)
    names = Counter(layer for name, layer in spelled.items() if "." not in name)
    assert set(names) == set(kolors_shapes)
    assert all(count >= 2 for count in names.values())
    assert spelled["input_blocks_3_0_op"] == "down_blocks.0.downsamplers.0.conv"
    assert spelled["output_blocks_2_2_conv"] == "up_blocks.0.upsamplers.0.conv"
    assert spelled["input_blocks_4_0_skip_connection"] == "down_blocks.1.resnets.0.conv_shortcut"
    assert spelled["middle_block_2_out_layers_3"] == "mid_block.resnets.1.conv2"


def test_all_spellings_give_the_same_weights(folder, pairs, written):
    base = load_denoiser(folder, CPU, torch.float32).unet.state_dict()
    for name, lora in written.items():
        weights = merged(folder, lora)
        for layer, (down, up) in pairs.items():
            expected = base[f"{layer}.weight"] + ALPHA / RANK * (up @ down)
            assert (weights[f"{layer}.weight"] - expected).abs().max() < 1e-6, (name, layer)
        untouched = [key for key in base if key.removesuffix(".weight") not in pairs]
        assert all(torch.equal(weights[key], base[key]) for key in untouched)


def test_formats_are_told_apart(written):
    formats = {name: inspect_lora(lora.path).format for name, lora in written.items()}
    assert formats == {
        "diffsynth1": "diffsynth1",
        "diffsynth_alpha": "diffsynth1",
        "peft": "peft",
        "peft without prefix": "peft",
        "diffusers": "diffusers",
        "kohya": "kohya",
        "kohya, diffusers' names": "kohya",
    }
    assert all(inspect_lora(lora.path).ranks == (RANK,) for lora in written.values())


def test_a_file_that_states_no_scale_is_taken_as_trained_at_alpha_equal_rank(folder, pairs, shapes, tmp_path):
    plain = use(save_diffsynth1(tmp_path / "x.ckpt", pairs, shapes))
    assert {pair.scale for pair in read_lora(plain, shapes).values()} == {1.0}


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({}, 0.5),
        ({"use_rslora": True}, 1.0),
        ({"alpha_pattern": {"attn1.to_q": 8.0}}, 2.0),
        ({"alpha_pattern": None}, 0.5),
    ],
)
def test_peft_metadata_decides_the_scale(folder, pairs, shapes, tmp_path, config, scale):
    read = read_lora(use(save_peft(tmp_path / "x.safetensors", pairs, shapes, **config)), shapes)
    assert {pair.scale for layer, pair in read.items() if layer.endswith("attn1.to_q")} == {scale}


def test_damaged_peft_metadata_is_an_error(pairs, shapes, tmp_path):
    state = {
        f"{layer}.lora_{part}.weight": it for layer, pair in pairs.items() for part, it in zip("AB", pair, strict=True)
    }
    save_file(state, tmp_path / "x.safetensors", {"lora_adapter_metadata": "{"})
    with pytest.raises(LoraError, match="lora_adapter_metadata"):
        read_lora(use(tmp_path / "x.safetensors"), shapes)


def test_strength_scales_and_stacks_add_up(folder, pairs, written, shapes, tmp_path):
    base = load_denoiser(folder, CPU, torch.float32).unet.state_dict()
    other = random_lora(shapes, seed=1)
    second = use(save_kohya(tmp_path / "second.safetensors", other, shapes), strength=-0.3)
    first = use(written["kohya"].path, strength=0.6)
    weights = merged(folder, first, second)
    layer = next(iter(pairs))
    change = 0.6 * pairs[layer][1] @ pairs[layer][0] - 0.3 * other[layer][1] @ other[layer][0]
    assert (weights[f"{layer}.weight"] - base[f"{layer}.weight"] - ALPHA / RANK * change).abs().max() < 1e-6


def test_convolutions_and_other_layers_merge_too(folder, shapes, tmp_path):
    layers = ["down_blocks.1.resnets.0.conv1", "mid_block.attentions.0.proj_in", "up_blocks.0.upsamplers.0.conv"]
    wide = random_lora(shapes, layers=layers)
    weights = merged(folder, use(save_kohya(tmp_path / "x.safetensors", wide, shapes, original=False)))
    base = load_denoiser(folder, CPU, torch.float32).unet.state_dict()
    down, up = wide[layers[0]]
    expected = torch.nn.functional.conv2d(down.transpose(0, 1), up).transpose(0, 1) * ALPHA / RANK
    change = weights[f"{layers[0]}.weight"] - base[f"{layers[0]}.weight"]
    assert torch.allclose(change, expected, atol=1e-5)


def test_taking_a_stack_out_restores_every_bit(folder, written):
    unet = load_denoiser(folder, CPU, torch.float32).unet
    base = {name: it.clone() for name, it in unet.state_dict().items()}
    weights = MergedUNet(unet, unet_shapes(folder))
    strong = use(written["kohya"].path, strength=0.7)
    weights.use((strong,))
    assert not same(unet.state_dict(), base)
    weights.use((written["peft"], strong))
    weights.use(())
    assert same(unet.state_dict(), base)
    weights.use((strong,))
    once = {name: it.clone() for name, it in unet.state_dict().items()}
    weights.use((written["peft"],))
    weights.use((strong,))
    assert same(unet.state_dict(), once)
    weights.use((use(written["kohya"].path, strength=0.0),))
    assert same(unet.state_dict(), base)


def test_a_broken_second_lora_leaves_the_base_weights(folder, written, tmp_path):
    unet = load_denoiser(folder, CPU, torch.float32).unet
    base = {name: it.clone() for name, it in unet.state_dict().items()}
    weights = MergedUNet(unet, unet_shapes(folder))
    weights.use((written["kohya"],))
    gone = use(written["peft"].path).__class__("gone", "0" * 64, path=tmp_path / "gone.safetensors")
    with pytest.raises(LoraError, match="not on this machine"):
        weights.use((written["kohya"], gone))
    weights.use(())
    assert same(unet.state_dict(), base)


def test_strength_zero_is_exactly_the_base_picture(painter, written):
    base = pixels(painter, take(1))
    zero = use(written["kohya"].path, strength=0.0)
    changed = pixels(painter, take(1, loras=(written["kohya"],)))
    assert not np.array_equal(changed, base)
    assert np.array_equal(pixels(painter, take(1, loras=(zero,))), base)
    assert np.array_equal(pixels(painter, take(1)), base)


def test_groups_with_other_stacks_do_not_touch_each_other(painter, written):
    plain, strong = take(1), take(1, loras=(written["kohya"],))
    weak = take(1, loras=(use(written["kohya"].path, strength=0.2),))
    apart = {it.key: pixels(painter, it) for it in (plain, strong, weak)}
    together = paint(painter, [strong, plain, weak])
    assert all(np.array_equal(together[key].pixels, alone) for key, alone in apart.items())
    assert len({alone.tobytes() for alone in apart.values()}) == 3


def test_all_spellings_paint_the_same_picture(painter, written):
    painted = [pixels(painter, take(1, loras=(lora,))).astype(int) for lora in written.values()]
    assert max(np.abs(one - painted[0]).max() for one in painted) <= 1


def test_a_lora_file_that_changed_since_the_plan_stops_the_painter(painter, pairs, shapes, tmp_path):
    lora = use(save_kohya(tmp_path / "x.safetensors", pairs, shapes))
    save_kohya(tmp_path / "x.safetensors", random_lora(shapes, seed=5), shapes)
    with pytest.raises(LoraError, match="changed since"):
        paint(painter, [take(0), take(1, loras=(lora,))])


def test_a_lora_that_does_not_fit_stops_before_the_first_picture(painter, shapes, tmp_path):
    harmed = dict(shapes) | {"mid_block.attentions.0.transformer_blocks.0.attn2.to_k": (64, 768)}
    lora = use(save_kohya(tmp_path / "x.safetensors", random_lora(harmed), shapes))
    with pytest.raises(
        LoraError, match=r"1 of \d+ layers don't fit.*attn2_to_k: 64x768 in the LoRA, 64x40 in the model"
    ):
        paint(painter, [take(0), take(1, loras=(lora,))])


def test_an_authored_rank_that_contradicts_the_file_is_an_error(painter, pairs, shapes, tmp_path):
    lora = use(save_diffsynth1(tmp_path / "x.ckpt", pairs, shapes), alpha=4.0, rank=8)
    with pytest.raises(LoraError, match="its rank is 4, not 8"):
        paint(painter, [take(1, loras=(lora,))])


def test_weights_that_are_no_numbers_are_refused(painter, pairs, shapes, tmp_path):
    layer = next(iter(pairs))
    harmed = {**pairs, layer: (pairs[layer][0] * float("nan"), pairs[layer][1])}
    with pytest.raises(LoraError, match="not finite"):
        read_lora(use(save_peft(tmp_path / "x.safetensors", harmed, shapes)), shapes)


def test_a_step_at_which_training_went_wrong_fails_its_takes_alone(painter, pairs, shapes, tmp_path):
    layer = next(iter(pairs))
    good = use(save_peft(tmp_path / "100.safetensors", pairs, shapes))
    harmed = {**pairs, layer: (pairs[layer][0] * float("nan"), pairs[layer][1])}
    bad = use(save_peft(tmp_path / "200.safetensors", harmed, shapes))
    takes = [take(1, loras=loras) for loras in ((good,), (bad,), ())]
    painted = paint(painter, takes)
    assert [type(painted[it.key]) for it in takes] == [Painted, Failed, Painted]
    assert "200.safetensors: damaged: " in painted[takes[1].key].reason
    assert np.array_equal(painted[takes[2].key].pixels, pixels(painter, takes[2]))


def test_a_miniature_lora_does_not_fit_kolors_and_says_so(pairs, shapes, kolors_shapes, tmp_path):
    from renderer.kolors.lora.file import check_fit_shapes

    header = inspect_lora(save_kohya(tmp_path / "x.safetensors", pairs, shapes))
    with pytest.raises(LoraError, match="made for another architecture"):
        check_fit_shapes(header, kolors_shapes)


def test_fit_is_checked_against_the_models_own_header(folder, written):
    for lora in written.values():
        check_fit(inspect_lora(lora.path), folder)
    check_fit(inspect_lora(written["peft"].path), folder.parent / "no weights here")
    assert json.loads(inspect_lora(written["peft"].path).metadata["lora_adapter_metadata"])["unet.r"] == RANK
