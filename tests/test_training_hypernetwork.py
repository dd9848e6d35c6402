"""`kind: hypernetwork`: what is trained, what it does before it is, and the file it ends in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("lightning")

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from renderer.errors import AuthoringError
from renderer.files import file_sha256
from renderer.kolors.attention import change_contexts
from renderer.kolors.files.lineage import lineage_of, read_card
from renderer.kolors.hypernetwork_layers import HypernetworkStack, Network, read_hypernetwork
from renderer.kolors.hypernetworks import Design, inspect_hypernetwork
from renderer.kolors.pipeline import KolorsPainter
from renderer.kolors.weights import load_denoiser
from renderer.take import Take, TakeHypernetwork
from renderer.trainer.dataset import prepare_dataset
from renderer.trainer.export import LoraFacts
from renderer.trainer.fit import fit
from renderer.trainer.learning.chance import Lot, seeded
from renderer.trainer.learning.draws import Draws
from renderer.trainer.recipe import load_recipe
from tests.test_hypernetworks import computed
from tests.trainings import CPU, MadeUpStates, make_dataset, make_job, make_models, make_module, make_recipe

WORKED = Path(__file__).parent.parent / "storyboards" / "training"

torch.set_num_threads(1)

WIDTHS = (32, 40, 64)
"""Of the tiny model's contexts: 40 its text's, the others its picture's."""
DESIGNS = (
    "",
    "hypernetwork: {structure: [1, 1]}",
    "hypernetwork: {structure: [1, 2, 1.5, 1], activation: mish}",
    "hypernetwork: {activation: leakyrelu, layer_norm: true}",
    "hypernetwork: {activation: tanh, widths: [40]}",
    "hypernetwork: {dropout: 0.4}",
)
FACTS = LoraFacts(
    name="glow",
    base_model="tiny@1",
    recipe="glow.yaml",
    recipe_digest="1" * 64,
    data_digest="2" * 64,
    step=3,
    steps=4,
    seed=0,
    pictures=2,
    resolution=(32, 32),
)
TAKE = Take("sample-1", 0, "a red cat", "夜晚", 32, 32, 4, 4.0, "ddim", "tiny@1")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def folder(models):
    return models / "tiny"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("pictures"), (32, 32), (48, 32))


@pytest.fixture
def module_of(tmp_path, models, dataset):
    def make(text="", dtype=torch.float32, moved=False):
        recipe = make_recipe(tmp_path, models, f"kind: hypernetwork\nimage: {{size: 64, upscale: true}}\n{text}\n")
        with seeded(Lot(0, "test", 0), CPU), torch.no_grad():
            module = make_module(recipe, dataset, MadeUpStates(dtype))
            for parameter in module.kind.trained().values() if moved else ():
                parameter.add_(0.1 * torch.randn(parameter.shape))  # as if it had been trained for a while
        return module.to(dtype)

    return make


def draws_of(module, step=0):
    (batch,) = Draws(module.recipe, module._draws._groups).step(step)
    return batch.draws


def gradients(module, draws):
    module.zero_grad()
    with seeded(Lot(0, "step", 0), CPU):
        loss = module.losses(draws).mean()
    loss.backward()
    return float(loss.detach()), {name: it.grad.clone() for name, it in module.kind.trained().items()}


# Against plain torch.


class ChangedAttention:
    """diffusers' attention, whose keys and values are made of x + network(x) where there are networks for its width."""

    def __init__(self, state, design):
        self.state, self.design = state, design

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            tokens.unflatten(2, (attn.heads, -1)).transpose(1, 2)
            for tokens in (
                attn.to_q(hidden_states),
                attn.to_k(self.changed("k", context)),
                attn.to_v(self.changed("v", context)),
            )
        )
        weights = (query @ key.transpose(2, 3) / key.shape[3] ** 0.5).softmax(3)
        return attn.to_out[0]((weights @ value).transpose(1, 2).flatten(2))

    def changed(self, half, context):
        start = f"{context.shape[2]}.{half}.linear."
        known = any(name.startswith(start) for name in self.state)
        return context + computed(self.state, self.design, start, context) if known else context


def plain_torch(module, draws):
    """Loss and gradients by diffusers' UNet in fp64, with A1111's description of a hypernetwork."""
    unet = UNet2DConditionModel.from_pretrained(module.recipe.model_folder / "unet").requires_grad_(False).double()
    leaves = {name: it.detach().clone().requires_grad_() for name, it in module.kind.trained().items()}
    unet.set_attn_processor(ChangedAttention(leaves, module.kind.hypernetwork.design))
    states = module._states
    latents = torch.stack([states.latents(draw.sample, draw.view) for draw in draws])
    noise = torch.stack([draw.noise() for draw in draws])
    timesteps = torch.tensor([draw.timestep for draw in draws])
    betas = torch.linspace(0.00085**0.5, 0.014**0.5, 1100, dtype=torch.float64) ** 2
    signal = (1 - betas).cumprod(0)[timesteps].view(-1, 1, 1, 1)
    texts = [states.text(draw.text) for draw in draws]
    predicted = unet(
        signal.sqrt() * latents + (1 - signal).sqrt() * noise,
        timesteps,
        torch.stack([text.states for text in texts]),
        added_cond_kwargs={
            "text_embeds": torch.stack([text.pooled for text in texts]),
            "time_ids": torch.tensor([draw.view.time_ids for draw in draws]).double(),
        },
    ).sample
    loss = (predicted - noise).pow(2).mean()
    found = torch.autograd.grad(loss, list(leaves.values()))
    return float(loss.detach()), dict(zip(leaves, found, strict=True))


@pytest.mark.parametrize("text", DESIGNS[:5])
def test_loss_and_gradients_equal_plain_torch(module_of, text):
    module = module_of(f"{text}\ntrain: {{batch: 2}}", torch.float64, moved=True)
    draws = draws_of(module)
    loss, found = gradients(module, draws)
    expected_loss, expected = plain_torch(module, draws)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert found.keys() == expected.keys()
    apart = sum(float((found[name] - expected[name]).square().sum()) for name in expected)
    assert (apart / sum(float(it.square().sum()) for it in expected.values())) ** 0.5 < 1e-5
    # But for what shifts all keys alike, which attention does not see.
    assert all(float(it.abs().max()) > 1e-9 for name, it in expected.items() if name.endswith("weight"))


def test_gradient_checkpointing_changes_no_bit_even_with_dropout(module_of):
    results = []
    for switch in ("true", "false"):
        text = f"hypernetwork: {{dropout: 0.4}}\ntrain: {{batch: 2, gradient_checkpointing: {switch}}}"
        module = module_of(text, moved=True)
        results.append(gradients(module, draws_of(module)))
    assert results[0][0] == results[1][0]
    assert all(torch.equal(results[0][1][name], results[1][1][name]) for name in results[0][1])


# How it begins.


@pytest.mark.parametrize("text", DESIGNS)
def test_before_training_it_is_the_model_bit_for_bit(module_of, text):
    module = module_of(text)
    draws = draws_of(module)
    with torch.no_grad():
        fresh = module.errors(draws)
        change_contexts(module.unet, ())
        assert torch.equal(module.errors(draws), fresh)


@pytest.mark.parametrize("text", ["", "hypernetwork: {layer_norm: true}"])
def test_the_first_step_moves_the_last_layers_and_the_second_all(module_of, text):
    module = module_of(f"{text}\ntrain: {{batch: 2}}")
    optimizer = torch.optim.SGD(module.kind.trained().values(), lr=1.0)
    moved = []
    for step in range(2):
        _, found = gradients(module, draws_of(module, step))
        moved.append({name.rpartition(".")[0] for name, it in found.items() if it.any()})
        optimizer.step()
    assert len([*placed(module)]) == 2 * len(WIDTHS)
    assert moved[0] == {f"{place}.linear.{numbers[-1]}" for place, numbers in placed(module)}
    assert moved[1] == {f"{place}.linear.{number}" for place, numbers in placed(module) for number in numbers}


def placed(module):
    """Each network's place, and the numbers of its layers that have values, in order."""
    for name, it in module.kind.hypernetwork.named_modules():
        if isinstance(it, Network):
            yield name, sorted({int(parameter.split(".")[1]) for parameter, _ in it.named_parameters()})


def test_it_follows_from_the_seed(module_of):
    one, same = (module_of().kind.trained() for _ in range(2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    drawn = torch.cat([it.flatten() for name, it in one.items() if name.endswith("linear.0.weight")]).detach()
    assert float(drawn.std()) == pytest.approx(0.01, rel=0.05)


def test_widths_are_all_of_the_model_or_those_that_are_asked_for(module_of):
    assert tuple(module_of().kind.hypernetwork.sizes) == WIDTHS
    some = module_of("hypernetwork: {widths: [64, 40], structure: [1, 3, 1]}").kind.hypernetwork
    assert some.sizes == {40: (40, 120, 40), 64: (64, 192, 64)}
    with pytest.raises(AuthoringError, match=r"no context of width 41.*Known: 32, 40, 64"):
        module_of("hypernetwork: {widths: [41]}")


def test_only_the_networks_are_trained(module_of):
    module = module_of()
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert trained == {f"kind.hypernetwork.{name}" for name in module.kind.trained()}
    assert not any("hypernetwork" in name or ".linear." in name for name in module.unet.state_dict())


def test_values_are_dropped_in_training_and_not_in_validation(module_of):
    module = module_of("hypernetwork: {dropout: 0.4}", moved=True)
    draws = draws_of(module)
    with torch.no_grad():
        assert not torch.equal(module.errors(draws), module.errors(draws))
        module.kind.eval()
        assert torch.equal(module.errors(draws), module.errors(draws))


# The file.


@pytest.mark.parametrize("text", DESIGNS)
def test_the_painter_uses_the_file_as_training_used_the_networks(module_of, tmp_path, folder, text):
    module = module_of(text, moved=True)
    sha256 = module.kind.write(tmp_path / "glow.safetensors", FACTS)
    use = TakeHypernetwork("pencil", sha256, path=tmp_path / "glow.safetensors")
    assert module.kind.added(TAKE, tmp_path / "glow.safetensors", sha256) == replace(TAKE, hypernetworks=(use,))
    painting = load_denoiser(folder, CPU, torch.float32).unet
    HypernetworkStack(painting, folder).use((use,))
    noisy, states = torch.randn(2, 4, 4, 4), torch.randn(2, 8, 40)
    told = {"text_embeds": torch.randn(2, 48), "time_ids": torch.randn(2, 6)}
    module.kind.eval()
    with torch.no_grad():
        learned, painted = (
            unet(noisy, torch.tensor([5, 900]), states, added_cond_kwargs=told) for unet in (module.unet, painting)
        )
    assert torch.equal(learned, painted)


def test_the_file_says_how_it_is_built_and_where_it_is_from(module_of, tmp_path):
    kind = module_of("hypernetwork: {structure: [1, 2, 1.5, 1], activation: elu, layer_norm: true, dropout: 0.1}").kind
    kind.write(tmp_path / "glow.safetensors", kind.described(FACTS))
    header = inspect_hypernetwork(tmp_path / "glow.safetensors")
    assert header.design == Design("elu", layer_norm=True, dropout=0.1)
    assert header.sizes[32] == (32, 64, 48, 32)
    facts = {"structure": "[1, 2, 1.5, 1]", "name": "glow", "base_model": "tiny@1", "recipe": "glow.yaml", "step": "3"}
    assert header.metadata.items() >= facts.items()


def test_a_file_of_before_the_first_step_paints_the_base_picture(module_of, tmp_path, folder):
    sha256 = module_of().kind.write(tmp_path / "glow.safetensors", FACTS)
    with_it = replace(TAKE, hypernetworks=(TakeHypernetwork("glow", sha256, path=tmp_path / "glow.safetensors"),))
    painter = KolorsPainter(folder, device="cpu")
    base, same = (next(iter(painter.paint([take], lambda progress: None))).pixels for take in (TAKE, with_it))
    assert np.array_equal(base, same)


# Training.


SHORT = "hypernetwork: {dropout: 0.2}\ntrain: {steps: 4, batch: 2, learning_rate: 0.01}\ncheckpoints: {every: 2}\n"


def train(folder, models, tell=lambda progress: None):
    """Trains in `folder`; the job and its result."""
    job = make_job(folder, models, f"kind: hypernetwork\nimage: {{size: 32, upscale: true}}\n{SHORT}", tell)
    return job, fit(job, "cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, models):
    return train(tmp_path_factory.mktemp("trained"), models)


def test_a_training_leaves_a_hypernetwork_with_its_facts(trained):
    job, result = trained
    assert tuple(inspect_hypernetwork(result.file).sizes) == WIDTHS
    sha256 = file_sha256(result.file)
    lineage = lineage_of(result.file, sha256)
    assert (lineage.recipe, lineage.step, lineage.base_model) == ("pencil.yaml", "4", "tiny@1")
    card = read_card(result.file, sha256)
    assert (card["kind"], card["recipe_digest"]) == ("hypernetwork", job.recipe.digest)
    assert card["losses"].keys() == {"train"} and card["sha256"] == sha256
    assert "rank" not in card and "alpha" not in card
    result.file.with_suffix(".json").unlink()
    assert lineage_of(result.file, sha256) == lineage
    assert inspect_hypernetwork(job.result_at(2)).metadata["step"] == "2"


def test_the_networks_learn(trained, tmp_path):
    job, result = trained
    final, earlier = (read_hypernetwork(file).state_dict() for file in (result.file, job.result_at(2)))
    assert all((final[name] != earlier[name]).any() for name in final)


class Killed(Exception):
    """Stands for the end of the process."""


def test_training_gone_on_with_gives_the_file_of_one_never_stopped(tmp_path, models, trained):
    def kill(progress):
        if progress.stage == "training" and progress.done == 3:
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path, models, kill)
    told = []
    _, result = train(tmp_path, models, told.append)
    assert next(it.done for it in told if it.stage == "training") == 2
    assert result.file.read_bytes() == trained[1].file.read_bytes()


def test_the_worked_recipe_is_ready_to_train(tmp_path):
    recipe = load_recipe(WORKED / "moonlight.yaml")
    assert recipe.warnings == ()
    dataset = prepare_dataset(recipe, tmp_path, lambda *_: None)
    assert (len(dataset.samples), dataset.findings) == (12, ())
    assert not any(word in sample.caption for sample in dataset.samples for word in ("夜蓝", "night blue"))
