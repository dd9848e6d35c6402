"""What is learned: noise, timesteps, weights, captions, learning rates."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

pytest.importorskip("lightning")

from diffusers.optimization import get_scheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.training_utils import compute_snr

from renderer.errors import TrainingError
from renderer.trainer.dataset import Sample
from renderer.trainer.learning.average import Average
from renderer.trainer.learning.captions import SHUFFLES, told
from renderer.trainer.learning.chance import Lot, seeded
from renderer.trainer.learning.crops import center_view
from renderer.trainer.learning.draws import Draw
from renderer.trainer.learning.objective import add_noise, errors, min_snr_weights, signal_shares
from renderer.trainer.learning.optimizers import make_optimizer
from renderer.trainer.learning.schedules import learning_rate
from renderer.trainer.recipes.recipe_file import TrainEntry
from tests.trainings import CPU

torch.set_num_threads(1)

DIFFUSERS = DDPMScheduler(num_train_timesteps=1100, beta_start=0.00085, beta_end=0.014, beta_schedule="scaled_linear")


def entry(**values) -> TrainEntry:
    return TrainEntry.model_validate(values)


def draw(number=0, size=(64, 48)) -> Draw:
    sample = Sample("a.png", None, "一，二，三，四，五", *size, "0" * 64)
    return Draw(sample, center_view(size, size), sample.caption, 500, Lot(7, "group 0", number))


# The schedule.


def test_schedule_is_kolors_and_equals_diffusers():
    shares = signal_shares()
    assert shares.shape == (1100,)
    assert float(shares[-1]) == pytest.approx(0.0011827, abs=1e-7)
    torch.testing.assert_close(shares, DIFFUSERS.alphas_cumprod, rtol=1e-4, atol=0)


def test_noise_is_added_as_diffusers_adds_it_each_picture_at_its_own_timestep():
    latents, noise = torch.randn(4, 4, 6, 8), torch.randn(4, 4, 6, 8)
    timesteps = torch.tensor([0, 37, 600, 1099])
    expected = DIFFUSERS.add_noise(latents, noise, timesteps)
    torch.testing.assert_close(add_noise(latents, noise, timesteps), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("gamma", [1.0, 5.0, 1000.0])
def test_min_snr_weighs_each_picture_by_the_table(gamma):
    timesteps = torch.arange(1100)
    ratios = compute_snr(DIFFUSERS, timesteps)
    expected = torch.stack([ratios, torch.full_like(ratios, gamma)]).min(dim=0).values / ratios
    torch.testing.assert_close(min_snr_weights(timesteps, gamma), expected, rtol=2e-3, atol=1e-6)


def test_min_snr_of_a_large_gamma_weighs_nothing_but_the_first_timesteps():
    weights = min_snr_weights(torch.arange(1100), 1000.0)
    assert float(weights[0]) < 1
    assert (weights[10:] == 1).all()


def test_error_is_each_pictures_own_mean():
    predicted, noise = torch.zeros(2, 4, 3, 5), torch.stack([torch.ones(4, 3, 5), 3 * torch.ones(4, 3, 5)])
    assert errors(predicted.half(), noise).tolist() == [1.0, 9.0]
    assert errors(predicted.half(), noise).dtype == torch.float32


# Noise.


def test_noise_has_the_shape_of_the_views_latents_and_follows_from_its_place_alone():
    first = draw(3).noise()
    assert first.shape == (4, 6, 8)
    draw(4).noise()
    assert torch.equal(first, draw(3).noise())
    assert not torch.equal(first, draw(4).noise())


def test_noise_is_normal():
    noise = torch.stack([draw(number).noise() for number in range(200)])
    assert abs(float(noise.mean())) < 0.01
    assert float(noise.std()) == pytest.approx(1, abs=0.01)


def test_noise_offset_moves_each_channel_as_a_whole_and_leaves_the_rest():
    moved = torch.stack([draw(number).noise(0.5) - draw(number).noise() for number in range(400)])
    assert moved.flatten(2).std(dim=2).max() < 1e-6
    assert float(moved[:, :, 0, 0].std()) == pytest.approx(0.5, abs=0.03)


def test_torchs_generator_is_seeded_within_and_as_before_afterwards():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    drawn = []
    for number in (0, 1, 0):
        with seeded(Lot(5, "dropout", number), CPU):
            drawn.append(torch.rand(4))
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(torch.get_rng_state(), before)


# Captions.


def texts(train, count=2000):
    return [told(draw().sample, train, Lot(0, "group 0", number)) for number in range(count)]


def test_caption_is_told_as_it_is():
    assert set(texts(entry(), 20)) == {"一，二，三，四，五"}


def test_share_of_captions_is_dropped():
    found = texts(entry(caption_dropout=0.25))
    assert found.count("") / len(found) == pytest.approx(0.25, abs=0.03)
    assert set(found) == {"", "一，二，三，四，五"}


def test_shuffled_caption_keeps_its_tags_and_its_first_ones_in_place():
    found = set(texts(entry(caption_shuffle=True, caption_keep=2)))
    assert 2 < len(found) <= min(SHUFFLES, 6)
    for text in found:
        assert text.startswith("一，二，")
        assert sorted(text.split("，")) == sorted("一二三四五")


def test_shuffled_english_caption_is_joined_in_english():
    sample = Sample("a.png", None, " red cat,sofa ,  night", 8, 8, "1" * 64)
    found = told(sample, entry(caption_shuffle=True), Lot(0, "group 0", 1))
    assert sorted(found.split(", ")) == ["night", "red cat", "sofa"]


def test_pictures_are_shuffled_apart():
    one, other = (Sample("a.png", None, "，".join("一二三四五六七八"), 8, 8, digit * 64) for digit in "01")
    train = entry(caption_shuffle=True)
    ways = [{told(sample, train, Lot(0, "g", number)) for number in range(300)} for sample in (one, other)]
    assert len(ways[0]) == len(ways[1]) == SHUFFLES
    assert ways[0] != ways[1]


# The optimizer's side.


@pytest.mark.parametrize(
    ("schedule", "name", "cycles"),
    [
        ("constant", "constant_with_warmup", 1),
        ("linear", "linear", 1),
        ("cosine", "cosine", 1),
        ("cosine-restarts", "cosine_with_restarts", 3),
    ],
)
@pytest.mark.parametrize("warmup", [0, 7])
def test_learning_rate_goes_as_diffusers_scheduler(schedule, name, cycles, warmup):
    steps = 40
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.02)
    extra = {"num_cycles": cycles} if "restarts" in name else {}
    scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=steps, **extra)
    train = entry(steps=steps, learning_rate=0.02, schedule=schedule, cycles=cycles, warmup=warmup)
    for step in range(steps):
        assert learning_rate(train, step) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-12), step
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler.step()


def test_optimizers_are_those_of_the_recipe(capsys):
    parameters = [torch.nn.Parameter(torch.ones(3))]
    adamw = make_optimizer(entry(weight_decay=0.25), parameters, CPU)
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.param_groups[0]["weight_decay"] == 0.25
    prodigy = make_optimizer(entry(optimizer="prodigy", learning_rate=1.0), parameters, CPU)
    assert type(prodigy).__name__ == "Prodigy"
    assert capsys.readouterr().out == ""


def test_eight_bit_adamw_needs_cuda():
    with pytest.raises(TrainingError, match=r"adamw8bit needs an NVIDIA GPU.*cpu.*Choose adamw"):
        make_optimizer(entry(optimizer="adamw8bit"), [], CPU)


def test_average_follows_and_is_worn_for_a_while():
    weight = torch.nn.Parameter(torch.zeros(2))
    average = Average({"w": weight}, 0.9)
    expected = np.zeros(2)
    for step in range(200):
        with torch.no_grad():
            weight.fill_(step)
        average.follow(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    with average.worn():
        np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-5)
    assert weight.tolist() == [199.0, 199.0]


def test_average_is_worn_off_even_after_an_error():
    weight = torch.nn.Parameter(torch.zeros(2))
    average = Average({"w": weight}, 0.5)
    average.follow(0)
    with torch.no_grad():
        weight.fill_(3)
    with pytest.raises(RuntimeError), average.worn():
        assert weight.tolist() == [0.0, 0.0]
        raise RuntimeError
    assert weight.tolist() == [3.0, 3.0]
