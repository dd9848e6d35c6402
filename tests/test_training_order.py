"""What is drawn, and in which order."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("lightning")

from renderer.errors import TrainingError
from renderer.trainer.dataset import Sample
from renderer.trainer.learning.draws import Draws, Group, fixed_draws
from renderer.trainer.learning.order import Order
from renderer.trainer.learning.validation import TIMESTEPS, examination, hold_out
from tests.trainings import make_models, make_recipe


@pytest.fixture(scope="module")
def recipe_of(tmp_path_factory):
    models = make_models(tmp_path_factory.mktemp("models"))
    return lambda text="": make_recipe(tmp_path_factory.mktemp("recipe"), models, text)


def samples(count, regularizing=0, size=(32, 32)):
    return tuple(
        Sample(f"{number}.png", None, f"caption {number}", *size, f"{number:064x}", number >= count - regularizing)
        for number in range(count)
    )


# The order of batches.


def test_every_picture_comes_once_in_each_pass():
    order = Order(["s"] * 7, 1, 0, "g")
    passes = [[order.batch(number)[0] for number in range(start, start + 7)] for start in (0, 7, 14)]
    assert all(sorted(each) == list(range(7)) for each in passes)
    assert passes[0] != passes[1]


def test_batches_go_on_through_the_passes():
    order = Order(["s"] * 5, 3, 0, "g")
    drawn = [picture for number in range(5) for picture in order.batch(number)]
    assert [sorted(drawn[start : start + 5]) for start in (0, 5, 10)] == [list(range(5))] * 3


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.integers(1, 5), st.integers(0, 99))
def test_batches_are_of_one_size_and_all_pictures_come_equally_often(sizes, batch, seed):
    order = Order(sizes, batch, seed, "g")
    for cycle in range(2):
        batches = [order.batch(number) for number in range(cycle * len(sizes), (cycle + 1) * len(sizes))]
        assert all(len({sizes[picture] for picture in drawn}) == 1 for drawn in batches)
        counts = Counter(picture for drawn in batches for picture in drawn)
        assert counts == {picture: batch for picture in range(len(sizes))}


def test_a_batch_is_the_same_whichever_came_before():
    there = [Order("aabab", 2, 3, "g").batch(number) for number in range(30)]
    order = Order("aabab", 2, 3, "g")
    assert [order.batch(number) for number in reversed(range(30))] == there[::-1]


def test_another_seed_or_name_gives_another_order():
    orders = [Order(["s"] * 20, 1, seed, name) for seed, name in ((0, "g"), (1, "g"), (0, "h"))]
    assert len({tuple(order.batch(number) for number in range(20)) for order in orders}) == 3


# Draws.


def all_draws(draws, steps, rank=0):
    return [draw for step in range(steps) for batch in draws.step(step, rank) for draw in batch.draws]


def test_two_batches_of_one_draw_what_one_batch_of_two_draws(recipe_of):
    group = [Group(samples(5))]
    one = Draws(recipe_of("train: {batch: 2}"), group)
    two = Draws(recipe_of("train: {batch: 1, accumulate: 2}"), group)
    assert all_draws(one, 6) == all_draws(two, 6)
    assert [batch.weight for batch in two.step(0)] == [0.5, 0.5]


def test_processes_share_out_what_one_would_draw(recipe_of):
    group = [Group(samples(5))]
    whole = Draws(recipe_of("train: {batch: 2}"), group)
    shared = Draws(recipe_of("train: {batch: 1}"), group, ranks=2)
    both = [draw for step in range(6) for rank in (0, 1) for draw in all_draws_of(shared, step, rank)]
    assert all_draws(whole, 6) == both


def all_draws_of(draws, step, rank):
    return [draw for batch in draws.step(step, rank) for draw in batch.draws]


def test_every_picture_has_a_timestep_of_its_own(recipe_of):
    draws = all_draws(Draws(recipe_of("train: {batch: 4}"), [Group(samples(4))]), 300)
    timesteps = [draw.timestep for draw in draws]
    assert len(set(timesteps[:4])) > 1
    assert min(timesteps) < 10
    assert 1090 <= max(timesteps) < 1100
    assert sum(timesteps) / len(timesteps) == pytest.approx(549.5, abs=30)


def test_other_settings_leave_noise_and_timesteps_as_they_were(recipe_of):
    plain = all_draws(Draws(recipe_of(), [Group(samples(3))]), 10)
    busy = "image: {crop: random, flip: true}\ntrain: {caption_shuffle: true, caption_dropout: 0.5}"
    moved = all_draws(Draws(recipe_of(busy), [Group(samples(3))]), 10)
    assert [draw.timestep for draw in plain] == [draw.timestep for draw in moved]
    assert all(torch.equal(one.noise(), other.noise()) for one, other in zip(plain, moved, strict=True))
    assert [draw.text for draw in plain] != [draw.text for draw in moved]


def test_groups_are_drawn_from_in_turn_with_their_weights(recipe_of):
    all_samples = samples(6, regularizing=4)
    groups = [Group(all_samples[:2], 1.0), Group(all_samples[2:], 0.7)]
    draws = Draws(recipe_of("train: {batch: 2, accumulate: 2}"), groups)
    batches = list(draws.step(3))
    assert [batch.weight for batch in batches] == [0.5, 0.35, 0.5, 0.35]
    assert [{draw.sample.regularizing for draw in batch.draws} for batch in batches] == [{False}, {True}] * 2
    assert batches[0].draws[0].lot != batches[1].draws[0].lot


def test_needed_is_all_that_is_drawn_by_all_processes(recipe_of):
    draws = Draws(recipe_of("train: {batch: 2}"), [Group(samples(5))], ranks=2)
    expected = {draw for step in (2, 3) for rank in (0, 1) for draw in all_draws_of(draws, step, rank)}
    assert set(draws.needed(2, 4)) == expected
    assert len(expected) == 8


def test_buckets_train_each_picture_near_its_own_aspect(recipe_of):
    wide, tall = samples(3, size=(96, 32)), samples(3, size=(32, 96))
    recipe = recipe_of("image: {size: 32, buckets: true}\ntrain: {batch: 2}")
    for batch in islice(batches_of(Draws(recipe, [Group((*wide, *tall))])), 12):
        (size,) = {draw.view.size for draw in batch.draws}
        assert size[0] != size[1]
        assert all((size[0] > size[1]) == (draw.sample.width > draw.sample.height) for draw in batch.draws)


def batches_of(draws):
    step = 0
    while True:
        yield from draws.step(step)
        step += 1


# What is held back.


@pytest.mark.parametrize(("share", "count", "held"), [(0.0, 9, 0), (0.25, 8, 2), (0.01, 5, 1), (0.5, 3, 2)])
def test_share_of_the_pictures_is_held_back(recipe_of, share, count, held):
    recipe = recipe_of(f"validation: {{share: {share}}}")
    kept, back = hold_out(recipe, samples(count))
    assert len(back) == held
    assert sorted((*kept, *back), key=lambda sample: int(sample.name[:-4])) == list(samples(count))
    assert (kept, back) == hold_out(recipe, samples(count))


def test_another_seed_holds_others_back(recipe_of):
    texts = [f"train: {{seed: {seed}}}\nvalidation: {{share: 0.3}}" for seed in range(4)]
    assert len({hold_out(recipe_of(text), samples(30))[1] for text in texts}) == 4


def test_class_pictures_are_never_held_back(recipe_of):
    _, back = hold_out(recipe_of("validation: {share: 0.5}"), samples(40, regularizing=30))
    assert len(back) == 5
    assert not any(sample.regularizing for sample in back)


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_left_to_train_on_is_told(recipe_of, count):
    with pytest.raises(TrainingError, match=rf"validation.share: 0.5 of {count} picture.* leaves none to train on"):
        hold_out(recipe_of("validation: {share: 0.5}"), samples(count))


def test_examination_is_always_the_same_and_asks_each_quarter_of_the_schedule(recipe_of):
    recipe = recipe_of("image: {crop: random, flip: true}\ntrain: {caption_dropout: 0.9, batch: 3}")
    held = samples(4, size=(64, 32))
    batches = examination(recipe, held)
    assert batches == examination(recipe, held)
    draws = [draw for batch in batches for draw in batch]
    assert sorted(draws, key=lambda draw: draw.lot) == list(fixed_draws(recipe, held, TIMESTEPS))
    assert {draw.text for draw in draws} == {sample.caption for sample in held}
    assert {draw.view.left for draw in draws} == {16}
    for sample in held:
        quarters = sorted(draw.timestep * TIMESTEPS // 1100 for draw in draws if draw.sample == sample)
        assert quarters == [0, 1, 2, 3]


def test_examination_goes_in_batches_of_one_size(recipe_of):
    recipe = recipe_of("image: {size: 32, buckets: true}\ntrain: {batch: 3}")
    held = (*samples(2, size=(96, 32)), *samples(2, size=(32, 96)))
    batches = examination(recipe, held)
    assert all(len({draw.view.size for draw in batch}) == 1 and len(batch) <= 3 for batch in batches)
    assert sum(map(len, batches)) == 4 * TIMESTEPS
