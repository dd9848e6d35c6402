"""What the model is shown of a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from renderer.kolors.card import KOLORS
from renderer.trainer.learning.chance import Lot
from renderer.trainer.learning.crops import View, bucket_sizes, center_view, random_view, show, size_for
from renderer.trainer.recipe import ImageSettings

SQUARE = ImageSettings(64, 64)
RANDOM = ImageSettings(64, 64, crop="random", flip=True)
BUCKETS = ImageSettings(1024, 1024, buckets=True)
SIDES = st.integers(1, 3000)
TARGETS = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(lambda sides: (sides[0] * 8, sides[1] * 8))


def noise(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def smooth(width, height):
    return noise(7, 5).resize((width, height), Image.Resampling.BICUBIC)


def random_views(image=RANDOM, picture=(200, 64), count=400):
    return [
        random_view(picture, (image.width, image.height), image, Lot(0, "g", number).chance("view"))
        for number in range(count)
    ]


# Sizes and places.


@settings(deadline=None)
@given(SIDES, SIDES, TARGETS, st.integers(0, 99))
def test_view_covers_its_size_and_lies_within_the_picture(width, height, size, number):
    assume(max(width, height) / min(width, height) < 100)
    image = ImageSettings(*size, crop="random", flip=True)
    for view in (
        center_view((width, height), size),
        random_view((width, height), size, image, Lot(0, "g", number).chance("view")),
    ):
        assert view.size == size
        assert view.scaled[0] == size[0] or view.scaled[1] == size[1]
        assert 0 <= view.left <= view.scaled[0] - size[0]
        assert 0 <= view.top <= view.scaled[1] - size[1]
        stretch = (view.scaled[0] / width) / (view.scaled[1] / height)
        assert abs(stretch - 1) <= 0.5 / min(view.scaled) + 1e-9


def test_center_crop_takes_the_middle():
    assert center_view((200, 100), (64, 64)) == View((128, 64), (64, 64), 32, 0)
    assert center_view((100, 201), (64, 64)) == View((64, 129), (64, 64), 0, 32)


def test_picture_of_the_size_is_shown_as_it_is():
    picture = noise(64, 48)
    shown = show(picture, center_view(picture.size, (64, 48)))
    assert shown.shape == (3, 48, 64)
    expected = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 127.5 - 1
    torch.testing.assert_close(shown, expected)
    assert (float(shown.min()), float(shown.max())) == (-1, 1)


def test_random_crops_begin_at_latents_and_reach_both_ends():
    lefts = {view.left for view in random_views(picture=(200, 64))}
    assert lefts == set(range(0, 200 - 64 + 1, 8))
    assert {view.top for view in random_views(picture=(200, 64))} == {0}


def test_center_crop_is_not_moved_by_chance():
    still = ImageSettings(64, 64)
    assert set(random_views(still)) == {center_view((200, 64), (64, 64))}


def test_half_of_the_pictures_are_mirrored_only_where_asked():
    mirrored = [view.mirrored for view in random_views(count=2000)]
    assert sum(mirrored) / 2000 == pytest.approx(0.5, abs=0.04)
    assert not any(view.mirrored for view in random_views(ImageSettings(64, 64, crop="random")))


def test_flips_leave_crops_where_they_were():
    with_flips, without = (random_views(ImageSettings(64, 64, crop="random", flip=flip)) for flip in (True, False))
    assert [view.left for view in with_flips] == [view.left for view in without]


# What is shown.


@pytest.mark.parametrize("picture", [(200, 100), (90, 133), (31, 77)])
def test_what_is_shown_is_the_crop_of_the_whole_resized_picture(picture):
    original = smooth(*picture)
    for view in random_views(picture=picture, count=20):
        whole = np.asarray(original.resize(view.scaled, Image.Resampling.LANCZOS), np.float32)
        expected = whole[view.top : view.top + 64, view.left : view.left + 64]
        expected = expected[:, ::-1] if view.mirrored else expected
        shown = (show(original, view).permute(1, 2, 0).numpy() + 1) * 127.5
        assert np.abs(shown - expected).max() <= 2.01  # Pillow rounds after each direction
        assert np.abs(shown - expected).mean() < 0.2


def test_mirrored_view_is_the_mirror_image():
    picture = noise(200, 100)
    plain, mirrored = (show(picture, View((128, 64), (64, 64), 24, 0, mirrored)) for mirrored in (False, True))
    assert torch.equal(mirrored, plain.flip(2))


def test_a_long_thin_picture_is_never_resized_as_a_whole():
    picture = noise(3, 30_000)
    assert show(picture, center_view(picture.size, (512, 512))).shape == (3, 512, 512)


# What the model is told of it.


def test_uncropped_picture_is_told_as_pictures_are_painted():
    assert center_view((500, 500), (64, 64)).time_ids == (64, 64, 0, 0, 64, 64)
    assert center_view((96, 64), (96, 64)).time_ids == (64, 96, 0, 0, 64, 96)


def test_true_crop_offsets_are_told():
    assert center_view((200, 100), (64, 64)).time_ids == (64, 128, 0, 32, 64, 64)
    assert View((64, 200), (64, 64), 0, 40).time_ids == (200, 64, 40, 0, 64, 64)


def test_mirrored_pictures_offset_is_that_of_the_mirrored_picture():
    assert View((128, 64), (64, 64), 16, 0, True).time_ids == (64, 128, 0, 48, 64, 64)


# Buckets.


def test_buckets_of_kolors_are_sdxls_without_the_extremes():
    sizes = bucket_sizes(BUCKETS, KOLORS)
    assert {(1024, 1024), (512, 2048), (2048, 512), (768, 1344), (1344, 768), (832, 1216), (896, 1152)} <= {*sizes}
    for width, height in sizes:
        assert width % 64 == height % 64 == 0
        assert 0.9 * 1024**2 < width * height <= 1024**2
        assert 512 <= min(width, height) <= max(width, height) <= 2048


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 4000), st.integers(1, 4000))
def test_buckets_keep_to_what_the_model_can_paint_and_the_nearest_aspect_is_chosen(wide, high, width, height):
    image = ImageSettings(wide * 32, high * 32, buckets=True)
    assume(KOLORS.min_size <= min(image.width, image.height))
    sizes = bucket_sizes(image, KOLORS)
    assert (image.width, image.height) in sizes
    for size in sizes:
        assert size[0] * size[1] <= image.width * image.height
        assert all(side % KOLORS.multiple == 0 and KOLORS.min_size <= side <= KOLORS.max_size for side in size)
    chosen = size_for((width, height), image, KOLORS)
    assert chosen in sizes
    apart = [abs(np.log(size[0] / size[1]) - np.log(width / height)) for size in sizes]
    assert abs(np.log(chosen[0] / chosen[1]) - np.log(width / height)) == pytest.approx(min(apart))


def test_without_buckets_all_pictures_have_the_recipes_size():
    assert size_for((4000, 10), SQUARE, KOLORS) == (64, 64)
