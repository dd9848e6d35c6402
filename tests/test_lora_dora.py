"""A DoRA merged into the weights is what peft trained, at strength 1; the base weights, bit for bit, at 0."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch.linalg import vector_norm

from renderer.errors import LoraError
from renderer.kolors.layout import read_json
from renderer.kolors.lora.file import check_fit, inspect_lora, unet_shapes
from renderer.kolors.lora.layers import Pair, read_lora
from renderer.kolors.lora.merging import MergedUNet, change_of
from renderer.kolors.weights import load_denoiser
from tests.loras import example, predict_ours, random_lora, use

CPU = torch.device("cpu")
ATTENTION = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
CONVOLUTION = "down_blocks.1.resnets.0.conv1"
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "conv1")
RANK, ALPHA = 4, 3.0


@pytest.fixture(scope="module")
def shapes(folder):
    return unet_shapes(folder)


@pytest.fixture(scope="module")
def base(folder):
    return {name: it.clone() for name, it in load_denoiser(folder, CPU, torch.float32).unet.state_dict().items()}


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """A DoRA of peft's on attentions and convolutions: its file as peft writes it, and what peft's forward says."""
    from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model

    denoiser = load_denoiser(folder, CPU, torch.float32)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(TARGETS), use_dora=True)
    inject_adapter_in_model(config, denoiser.unet)
    generator = torch.Generator().manual_seed(5)
    for name, parameter in denoiser.unet.named_parameters():
        if "lora_magnitude" in name:
            parameter.data *= 0.5 + torch.rand(parameter.shape, generator=generator)
        elif "lora_" in name:
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    state = get_peft_model_state_dict(denoiser.unet)
    file = tmp_path_factory.mktemp("loras") / "dora.safetensors"
    save_file({f"unet.{name}": it.contiguous() for name, it in state.items()}, file)
    latents, timestep, states, added = example(read_json(folder / "unet/config.json"))
    with torch.no_grad():
        said = denoiser.unet.eval()(latents, timestep, denoiser.text_projection(states), added_cond_kwargs=added)
    return file, said


def merged(folder, *loras):
    unet = load_denoiser(folder, CPU, torch.float32).unet
    MergedUNet(unet, unet_shapes(folder)).use(loras)
    return unet.state_dict()


def save(path, down, up, magnitude, layer=ATTENTION, name="lora_magnitude_vector"):
    halves = {"lora_A.weight": down, "lora_B.weight": up, name: magnitude}
    save_file({f"unet.{layer}.{part}": it for part, it in halves.items()}, path)
    return path


def test_it_is_what_peft_computes(folder, trained):
    file, theirs = trained
    ours = predict_ours(folder, [use(file, alpha=ALPHA)])
    assert (ours - theirs).abs().max() < 1e-5 * max(1.0, float(theirs.abs().max()))
    assert (theirs - predict_ours(folder)).abs().max() > 0.01


def test_the_file_is_known_for_a_dora(folder, trained):
    header = inspect_lora(trained[0])
    assert header.dora and header.ranks == (RANK,)
    assert CONVOLUTION in header.layers
    check_fit(header, folder)


def test_weights_have_the_trained_lengths(folder, trained, shapes):
    file, _ = trained
    weights = merged(folder, use(file, alpha=ALPHA))
    for layer, pair in read_lora(use(file, alpha=ALPHA), shapes).items():
        lengths = vector_norm(weights[f"{layer}.weight"].flatten(1), dim=1)
        assert torch.allclose(lengths, pair.magnitude.flatten(), rtol=1e-5), layer


def test_strength_zero_is_the_base_bit_for_bit_and_taking_it_out_too(folder, trained, base):
    unet = load_denoiser(folder, CPU, torch.float32).unet
    weights = MergedUNet(unet, unet_shapes(folder))
    weights.use((use(trained[0], strength=0.0, alpha=ALPHA),))
    assert all(torch.equal(it, base[name]) for name, it in unet.state_dict().items())
    weights.use((use(trained[0], alpha=ALPHA),))
    assert not torch.equal(unet.get_parameter(f"{ATTENTION}.weight"), base[f"{ATTENTION}.weight"])
    weights.use(())
    assert all(torch.equal(it, base[name]) for name, it in unet.state_dict().items())


def test_between_0_and_1_a_weight_goes_straight(folder, trained, base):
    whole, half = (merged(folder, use(trained[0], strength=it, alpha=ALPHA)) for it in (1.0, 0.5))
    for layer in (ATTENTION, CONVOLUTION):
        name = f"{layer}.weight"
        assert torch.allclose(half[name], (base[name] + whole[name]) / 2, atol=1e-6)


def test_a_stack_does_not_depend_on_its_order(folder, trained, shapes, tmp_path):
    (down, up), *_ = random_lora(shapes, layers=[ATTENTION]).values()
    save_file(
        {f"unet.{ATTENTION}.lora_A.weight": down, f"unet.{ATTENTION}.lora_B.weight": up}, tmp_path / "x.safetensors"
    )
    dora, plain = use(trained[0], strength=0.7, alpha=ALPHA), use(tmp_path / "x.safetensors", strength=0.4)
    one, other = merged(folder, dora, plain), merged(folder, plain, dora)
    assert torch.allclose(one[f"{ATTENTION}.weight"], other[f"{ATTENTION}.weight"], atol=1e-6)
    alone = merged(folder, dora)
    change = one[f"{ATTENTION}.weight"] - alone[f"{ATTENTION}.weight"]
    assert torch.allclose(change, 0.4 * up @ down, atol=1e-5)


@pytest.mark.parametrize("of_columns", [False, True])
def test_kohya_s_dora_scale_is_of_rows_or_of_columns(shapes, base, tmp_path, of_columns):
    """LyCORIS wrote [1, inputs] at first, and [outputs, 1] since."""
    (down, up), *_ = random_lora(shapes, layers=[ATTENTION]).values()
    weight = base[f"{ATTENTION}.weight"]
    outputs, inputs = weight.shape
    scale = 0.5 + torch.rand((1, inputs) if of_columns else (outputs, 1), generator=torch.Generator().manual_seed(2))
    name = "lora_unet_middle_block_1_transformer_blocks_0_attn2_to_k"
    parts = {"lora_down.weight": down, "lora_up.weight": up, "alpha": torch.tensor(2.0), "dora_scale": scale}
    save_file({f"{name}.{part}": it for part, it in parts.items()}, tmp_path / "x.safetensors")
    (pair,) = read_lora(use(tmp_path / "x.safetensors"), shapes).values()
    directions = weight + 0.5 * up @ down
    expected = scale * directions / vector_norm(directions, dim=0 if of_columns else 1, keepdim=True)
    assert pair.of_columns is of_columns
    assert torch.allclose(weight + change_of(pair, weight), expected, atol=1e-6)


def test_peft_s_magnitude_of_a_square_weight_is_of_rows(shapes, base, tmp_path):
    """Also a convolution's, which peft writes as [1, outputs, 1, 1]."""
    for layer in ("mid_block.attentions.0.transformer_blocks.0.attn1.to_q", "mid_block.resnets.0.conv1"):
        (down, up), *_ = random_lora(shapes, layers=[layer]).values()
        weight = base[f"{layer}.weight"]
        assert weight.shape[0] == weight.shape[1]
        lengths = 0.5 + torch.rand(weight.shape[0], generator=torch.Generator().manual_seed(3))
        written = lengths if weight.ndim == 2 else lengths.view(1, -1, 1, 1)
        file = save(tmp_path / "x.safetensors", down, up, written, layer)
        (pair,) = read_lora(use(file), shapes).values()
        found = vector_norm((weight + change_of(pair, weight)).flatten(1), dim=1)
        assert torch.allclose(found, lengths, rtol=1e-5)


def test_older_and_newer_names_of_the_magnitude_are_read(shapes, tmp_path):
    (down, up), *_ = random_lora(shapes, layers=[ATTENTION]).values()
    for name in ("lora_magnitude_vector", "lora_magnitude_vector.weight", "lora_magnitude_vector.default.weight"):
        file = save(tmp_path / "x.safetensors", down, up, torch.ones(up.shape[0]), name=name)
        (pair,) = read_lora(use(file), shapes).values()
        assert pair.magnitude is not None, name


def test_half_precision_weights_are_computed_in_full(shapes, base, tmp_path):
    (down, up), *_ = random_lora(shapes, layers=[ATTENTION]).values()
    pair = Pair(down.half(), up.half(), 0.5, torch.ones(up.shape[0], 1).half())
    change = change_of(pair, base[f"{ATTENTION}.weight"].bfloat16())
    assert change.dtype == torch.float32
    expected = change_of(pair, base[f"{ATTENTION}.weight"])
    assert (change - expected).abs().max() < 0.02


def test_a_row_of_zeros_stays_one():
    pair = Pair(torch.ones(1, 3), torch.tensor([[0.0], [1.0]]), 1.0, torch.tensor([[5.0], [2.0]]))
    change = change_of(pair, torch.zeros(2, 3))
    assert torch.equal(change[0], torch.zeros(3))
    assert vector_norm(change[1]) == pytest.approx(2.0)


def test_magnitudes_that_do_not_fit_are_named(folder, shapes, tmp_path):
    (down, up), *_ = random_lora(shapes, layers=[ATTENTION]).values()
    file = save(tmp_path / "x.safetensors", down, up, torch.ones(7))
    with pytest.raises(LoraError, match=r"a DoRA magnitude of 7 for 64x40 in the model"):
        check_fit(inspect_lora(file), folder)


def test_magnitudes_without_a_lora_are_none(tmp_path):
    save_file({f"unet.{ATTENTION}.lora_magnitude_vector": torch.ones(64)}, tmp_path / "x.safetensors")
    with pytest.raises(LoraError, match="not a LoRA: there are only DoRA magnitudes"):
        inspect_lora(tmp_path / "x.safetensors")
