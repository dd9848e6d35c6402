"""Sample pages that show, while the miniature is trained, what it can do so far."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from diffusers import AutoencoderKL

from renderer.miniature.art.drawing import draw_picture, frame_size
from renderer.miniature.book import Frame
from renderer.miniature.dataset import HELD_OUT_START, picture_of
from renderer.miniature.pages import contact_page
from renderer.miniature.training.autoencoder import Bytes, reconstruct
from renderer.miniature.training.sampling import Networks, paint

STORY_PROMPTS = (
    "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，坐在家里的沙发上，托着腮，无聊",
    "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，白天在公园里挥手，开心大笑",
    "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，黄昏的海边，微笑",
    "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，在星空下双手合十许愿，闭着眼睛",
    "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，在舞台上，拿着麦克风唱歌",
    "一个黑色长发女人，戴着眼镜，在图书馆里看书",
    "一个棕色短发男人，穿着绿色毛衣，在厨房里拿着杯子，微笑",
    "一只黑猫，在卧室里，夜晚",
    "anime style, a little girl with long blonde hair in a yellow dress and "
    "a little boy with short black hair in a blue t-shirt, in the park, by day, waving, smiling",
    "a boy with short red hair, angry, on the street at night, close-up",
    "a girl with pink twintails and a red scarf, in the snow, arms raised, laughing, full body",
    "a little girl with silver hair holding an umbrella, in the rain, wide shot",
    "a woman with a red hat, blue ponytail, on the train, at sunset, surprised",
    "three red balloons by the sea, by day",
    "a boy with a white rabbit in the forest, holding a flower",
    "a girl in a blue uniform, in the classroom, crying, night-blue style",
)
"""Sixteen prompts as an author would write them."""

WIDE_PROMPTS = STORY_PROMPTS[1::4]

_COLUMNS = 8


def save_story_pages(networks: Networks, size: int, seed: int, folder: Path, name: str) -> None:
    """Writes `story-NAME.png`, eight pictures in a row, and `wide-NAME.png` with a few landscapes."""
    pages: tuple[tuple[str, Frame, tuple[str, ...]], ...] = (
        ("story", "square", STORY_PROMPTS),
        ("wide", "landscape", WIDE_PROMPTS),
    )
    for kind, frame, prompts in pages:
        seeds = [seed + i for i in range(len(prompts))]
        painted = paint(networks, prompts, frame_size(frame, size), seeds)
        contact_page(list(painted), _COLUMNS).save(folder / f"{kind}-{name}.png")


def save_reconstruction_page(vae: AutoencoderKL, pictures: Bytes, file: Path) -> None:
    """Writes a page of pictures [N, H, W, 3], each above its way there and back through the autoencoder."""
    decoded = reconstruct(vae, pictures)
    rows = [half for i in range(0, len(pictures), 8) for half in (*pictures[i : i + 8], *decoded[i : i + 8])]
    contact_page(rows, _COLUMNS).save(file)


def draw_held_out(count: int, frame: Frame, size: int) -> Bytes:
    """[count, H, W, 3] bytes of the first pictures of that frame that are never trained on."""
    drawn: list[Bytes] = []
    seed = HELD_OUT_START
    while len(drawn) < count:
        picture = picture_of(seed)
        if picture.frame == frame:
            drawn.append(draw_picture(picture, size))
        seed += 1
    return np.stack(drawn)
