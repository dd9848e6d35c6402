"""One step of a training: its loss and gradients, against plain torch and diffusers; memory; what stays as it was."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext

import pytest
import torch
from torch import nn

lightning = pytest.importorskip("lightning")

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel  # noqa: E402

from renderer.errors import TrainingError  # noqa: E402
from renderer.kolors.lora.model import KOLORS_UNET  # noqa: E402
from renderer.kolors.weights import Denoiser, build_unet  # noqa: E402
from renderer.trainer.kinds import KINDS  # noqa: E402
from renderer.trainer.learning.chance import Lot, seeded  # noqa: E402
from renderer.trainer.learning.draws import Draws  # noqa: E402
from renderer.trainer.learning.recomputing import recompute  # noqa: E402
from renderer.trainer.learning.validation import examination  # noqa: E402
from renderer.trainer.module import NotFinite, TrainingModule  # noqa: E402
from tests.trainings import CPU, MadeUpStates, make_dataset, make_models, make_module, make_recipe  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("pictures"), (32, 32), (48, 32))


@pytest.fixture
def module_of(tmp_path, models, dataset):
    """Makes the module of a recipe, whose second matrices are no longer 0."""

    def make(text: str = "", states=None, moved: bool = True) -> TrainingModule:
        recipe = make_recipe(tmp_path, models, f"image: {{size: 64, upscale: true}}\n{text}")
        with seeded(Lot(0, "test", 0), CPU):
            module = make_module(recipe, dataset, states or MadeUpStates())
            if moved:
                move(module)
        return module

    return make


@torch.no_grad()
def move(module):
    """As if it had been trained for a while."""
    for name, parameter in module.kind.trained().items():
        if "lora_B" in name or "magnitude" in name:
            parameter.add_(0.05 * torch.randn_like(parameter))


def batch_of(module, step=0):
    (batch,) = Draws(module.recipe, module.kind.groups(module.recipe, samples_of(module))).step(step)
    return batch.draws


def samples_of(module):
    return module._draws._groups[0].samples


def gradients(module, draws):
    module.zero_grad()
    loss = module.losses(draws).mean()
    loss.backward()
    return float(loss.detach()), {name: parameter.grad.clone() for name, parameter in module.kind.trained().items()}


def apart(found, expected):
    """How far gradients are from each other, as a share of their length."""
    assert found.keys() == expected.keys()
    difference = sum(float((found[name] - expected[name]).square().sum()) for name in expected)
    return math.sqrt(difference / sum(float(it.square().sum()) for it in expected.values()))


# Against plain torch.


def plain_torch(module, draws, gamma=None, offset=0.0):
    """Loss and gradients of diffusers' UNet in fp64, whose weights are W + α/r·BA, for DoRA of trained magnitudes."""
    recipe = module.recipe
    unet = UNet2DConditionModel.from_pretrained(recipe.model_folder / "unet").requires_grad_(False).double()
    leaves = {name: it.detach().clone().requires_grad_() for name, it in module.kind.trained().items()}
    weights = dict(unet.named_parameters())
    for layer in {name.partition(".lora_")[0] for name in leaves}:
        down, up = (leaves[f"{layer}.lora_{half}.default.weight"] for half in "AB")
        changed = weights[f"{layer}.weight"] + recipe.lora.alpha / recipe.lora.rank * up @ down
        magnitude = leaves.get(f"{layer}.lora_magnitude_vector.default.weight")
        if magnitude is not None:
            changed = changed * (magnitude / changed.detach().norm(dim=1)).unsqueeze(1)
        weights[f"{layer}.weight"] = changed
    betas = torch.linspace(0.00085**0.5, 0.014**0.5, 1100, dtype=torch.float64) ** 2
    states = module._states
    latents = torch.stack([states.latents(draw.sample, draw.view) for draw in draws])
    noise = torch.stack([draw.noise(offset) for draw in draws])
    timesteps = torch.tensor([draw.timestep for draw in draws])
    signal = (1 - betas).cumprod(0)[timesteps]
    noisy = signal.sqrt().view(-1, 1, 1, 1) * latents + (1 - signal).sqrt().view(-1, 1, 1, 1) * noise
    texts = [states.text(draw.text) for draw in draws]
    told = {
        "text_embeds": torch.stack([text.pooled for text in texts]),
        "time_ids": torch.tensor([draw.view.time_ids for draw in draws]).float(),
    }
    predicted = torch.func.functional_call(
        unet,
        weights,
        (noisy, timesteps, torch.stack([text.states for text in texts])),
        {"added_cond_kwargs": told},
    ).sample
    each = (predicted - noise).pow(2).mean(dim=(1, 2, 3))
    if gamma is not None:
        each = each * torch.minimum(signal / (1 - signal), torch.tensor(gamma)) * (1 - signal) / signal
    loss = each.mean()
    found = torch.autograd.grad(loss, list(leaves.values()))
    return float(loss.detach()), dict(zip(leaves, found, strict=True))


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("train: {batch: 2}", {}),
        ("train: {batch: 2, min_snr: 5}", {"gamma": 5.0}),
        ("train: {batch: 2, noise_offset: 0.1, gradient_checkpointing: false}", {"offset": 0.1}),
        ("lora: {rank: 3, alpha: 6, init: gaussian, targets: [to_q, attn2.to_out.0]}", {}),
        ("lora: {dora: true}", {}),
    ],
)
def test_loss_and_gradients_equal_plain_torch(module_of, text, options):
    module = module_of(text, MadeUpStates(torch.float64)).double()
    draws = batch_of(module)
    loss, found = gradients(module, draws)
    expected_loss, expected = plain_torch(module, draws, **options)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert apart(found, expected) < 1e-5
    assert all(float(it.abs().max()) > 1e-9 for it in expected.values())


def test_gradient_checkpointing_changes_no_bit(module_of):
    results = []
    for switch in ("true", "false"):
        module = module_of(f"train: {{batch: 2, gradient_checkpointing: {switch}}}")
        results.append(gradients(module, batch_of(module)))
    assert results[0][0] == results[1][0]
    assert all(torch.equal(results[0][1][name], results[1][1][name]) for name in results[0][1])


def test_two_accumulated_batches_have_the_gradient_of_one_twice_as_large(module_of):
    whole, parts = (
        module_of(text, MadeUpStates(torch.float64)).double()
        for text in ("train: {batch: 2}", "train: {batch: 1, accumulate: 2}")
    )
    _, expected = gradients(whole, batch_of(whole))
    parts.zero_grad()
    for batch in parts._draws.step(0):
        (parts.losses(batch.draws).mean() * batch.weight).backward()
    found = {name: parameter.grad for name, parameter in parts.kind.trained().items()}
    assert apart(found, expected) < 1e-5


# What is trained.


def test_only_the_lora_is_trained_and_begins_where_the_model_is(module_of):
    module = module_of("", MadeUpStates(torch.float64), moved=False).double()
    trained = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    assert len(trained) == 2 * 4 * 2 * len([n for n, m in module.unet.named_modules() if n.endswith("attn2")])
    assert all(".lora_A." in name or ".lora_B." in name for name in trained)
    draws = batch_of(module)
    with torch.no_grad():
        loss = float(module.losses(draws).mean())
    assert loss == pytest.approx(plain_torch(module, draws)[0], rel=1e-5)
    assert not any(it.detach().any() for name, it in module.kind.trained().items() if "lora_B" in name)


def test_first_matrices_begin_as_asked(module_of):
    kaiming, gaussian = (
        {name: it for name, it in module_of(text, moved=False).kind.trained().items() if "lora_A" in name}
        for text in ("lora: {rank: 8}", "lora: {rank: 8, init: gaussian}")
    )
    for it in kaiming.values():
        bound = it.shape[1] ** -0.5
        assert 0.9 * bound < float(it.detach().abs().max()) <= bound
    drawn = torch.cat([it.detach().flatten() for it in gaussian.values()])
    assert float(drawn.std()) == pytest.approx(1 / 8, rel=0.05)
    assert float(drawn.abs().max()) > 3 / 8


def test_targets_that_are_no_layers_are_told(module_of):
    with pytest.raises(TrainingError, match=r"pencil\.yaml"):
        module = module_of(moved=False)
        recipe = module.recipe
        object.__setattr__(recipe, "lora", recipe.lora.model_copy(update={"targets": ("to_z",)}))
        KINDS["lora"](recipe, Denoiser(build_unet(KOLORS_UNET | {"block_out_channels": (32, 32, 32)}), None))


# A step by Lightning.


def take_steps(module, steps=1, **options):
    """So many steps on the CPU, with nothing kept."""
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=-1,
        max_steps=steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(module)
    return trainer


def test_step_is_plain_adamw_on_the_clipped_gradient(module_of):
    module, twin = (module_of("train: {batch: 2, learning_rate: 0.01, clip: 0.001, weight_decay: 0.5}") for _ in "ab")
    _, found = gradients(twin, batch_of(twin))
    parameters = twin.kind.trained()
    norm = math.sqrt(sum(float(it.square().sum()) for it in found.values()))
    assert norm > 0.001
    for name, parameter in parameters.items():
        parameter.grad = found[name] * 0.001 / norm
    torch.optim.AdamW(parameters.values(), lr=0.01, weight_decay=0.5).step()
    take_steps(module)
    for name, parameter in module.kind.trained().items():
        torch.testing.assert_close(parameter, parameters[name], rtol=1e-3, atol=1e-4)
    assert float(module.loss) == pytest.approx(float(twin.losses(batch_of(twin)).mean()), abs=0.2)


def test_frozen_weights_stay_as_they_were_bit_for_bit(module_of):
    module = module_of("train: {learning_rate: 0.1}")
    frozen = {name: it.clone() for name, it in module.named_parameters() if not it.requires_grad}
    before = {name: it.detach().clone() for name, it in module.kind.trained().items()}
    take_steps(module, 2)
    assert all(torch.equal(it, frozen[name]) for name, it in module.named_parameters() if not it.requires_grad)
    assert not any(torch.equal(it, before[name]) for name, it in module.kind.trained().items())


class BrokenStates(MadeUpStates):
    """States of which those of one picture are no numbers."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def latents(self, sample, view):
        return super().latents(sample, view) * (math.nan if sample.name == self._name else 1)


def test_loss_that_is_no_number_names_the_picture_and_changes_nothing(module_of):
    module = module_of("train: {batch: 2}", BrokenStates("1.png"))
    before = {name: it.detach().clone() for name, it in module.kind.trained().items()}
    with pytest.raises(NotFinite, match=r"Step 1: the loss is not a number.*with 1\.png \(timestep \d+\)\."):
        take_steps(module, 3)
    assert all(torch.equal(it, before[name]) for name, it in module.kind.trained().items())


def test_gradient_that_is_no_number_names_the_pictures_and_changes_nothing(module_of):
    module = module_of("train: {batch: 2}")
    name, parameter = next(iter(module.kind.trained().items()))
    parameter.register_hook(lambda gradient: gradient * math.inf)
    before = parameter.detach().clone()
    with pytest.raises(NotFinite, match=r"Step 1: the gradient is not a number.*0\.png.*1\.png|1\.png.*0\.png"):
        take_steps(module, 3)
    assert torch.equal(parameter, before), name


def test_average_is_what_counts(module_of):
    module = module_of("train: {ema: 0.5, learning_rate: 0.05}")
    take_steps(module, 3)
    name, parameter = next(iter(module.kind.trained().items()))
    own = parameter.detach().clone()
    with module.exported():
        assert torch.equal(parameter, module.average.values[name])
        assert not torch.equal(parameter, own)
    assert torch.equal(parameter, own)


# Validation.


def test_validation_is_a_function_of_the_weights_and_changes_nothing(module_of, dataset):
    module = module_of("validation: {share: 0.5}\ntrain: {batch: 3}")
    trainer = take_steps(module, 1)
    trainer.strategy.connect(module)
    batches = examination(module.recipe, dataset.samples)
    assert [len(batch) for batch in batches] == [3, 3, 2]
    state, before = torch.get_rng_state(), {name: it.detach().clone() for name, it in module.kind.trained().items()}
    first = module.examine(batches)
    torch.rand(7)
    assert module.examine(batches) == first
    alone = [float(module.errors([draw])) for batch in batches for draw in batch]
    assert first == pytest.approx(sum(alone) / len(alone), rel=1e-5)
    assert all(torch.equal(it, before[name]) for name, it in module.kind.trained().items())
    torch.set_rng_state(state)
    assert module.kind.training
    move(module)
    assert module.examine(batches) != first


# Full size.


def kolors_unet(dtype):
    """Kolors' UNet with the classic LoRA, on the device of the surrounding context."""
    from peft import LoraConfig, inject_adapter_in_model

    unet = build_unet(KOLORS_UNET).requires_grad_(False).to(dtype)
    config = LoraConfig(r=16, lora_alpha=4, target_modules=["to_q", "to_k", "to_v", "to_out.0"])
    inject_adapter_in_model(config, unet, low_cpu_mem_usage=next(unet.parameters()).is_meta)
    for parameter in unet.parameters():
        parameter.data = parameter.data.float() if parameter.requires_grad else parameter.data
    return unet


def forward_at_1024(unet, dtype):
    """The loss of one picture, and the bytes that are kept for its backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor):
        if not isinstance(tensor, nn.Parameter):
            kept[id(tensor.untyped_storage())] = tensor.untyped_storage().nbytes()
        return tensor

    latents, states = torch.randn(1, 4, 128, 128), torch.randn(1, 256, 2048, dtype=dtype)
    told = {"text_embeds": torch.randn(1, 4096, dtype=dtype), "time_ids": torch.zeros(1, 6)}
    mixed = nullcontext() if latents.is_meta else torch.autocast(latents.device.type, dtype)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), mixed:
        predicted = unet(latents, torch.tensor([500]), states, added_cond_kwargs=told)
        loss = predicted.float().square().mean()
    assert predicted.shape == latents.shape
    return loss, sum(kept.values())


def test_full_size_step_has_kolors_shapes_and_recomputing_saves_most_of_its_memory():
    with torch.device("meta"):
        unet = kolors_unet(torch.float32)
        _, whole = forward_at_1024(unet, torch.float32)
        assert recompute(unet) == 70 + 17
        loss, recomputed = forward_at_1024(unet, torch.float32)
        loss.backward()
    trained = [it for it in unet.parameters() if it.requires_grad]
    assert len(trained) == 2 * 560
    assert sum(it.numel() for it in trained) == 23_224_320
    assert all(it.grad is not None and it.grad.shape == it.shape for it in trained)
    # 32 GB and 1 GB in fp32; the model itself takes 10 GB, in fp16 half of all that.
    assert recomputed < whole / 20
    assert recomputed < 1.2e9


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_full_size_step_fits_a_gpu_of_24_gb(capsys):
    """Kolors' UNet with random weights at 1024 in fp16, as a recipe's defaults train it; says time and peak memory."""
    with torch.device("cuda"):
        unet = kolors_unet(torch.float16)
        recompute(unet)
        optimizer = torch.optim.AdamW([it for it in unet.parameters() if it.requires_grad])
        torch.cuda.reset_peak_memory_stats()
        for _ in range(3):
            torch.cuda.synchronize()
            started = time.perf_counter()
            forward_at_1024(unet, torch.float16)[0].backward()
            optimizer.step()
            torch.cuda.synchronize()
            seconds = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated()
    with capsys.disabled():
        print(f"\n{seconds:.3f} s a sample at 1024, {peak / 1e9:.1f} GB at most, on {torch.cuda.get_device_name()}")
    assert peak < 24e9
