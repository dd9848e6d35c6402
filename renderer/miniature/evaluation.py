"""How good the miniature is: pages of pictures to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from renderer.miniature.autoencoder import HELD_OUT, Bytes, encode
from renderer.miniature.captions import full_caption
from renderer.miniature.dataset import picture_of
from renderer.miniature.obedience import obeyed_shares
from renderer.miniature.sampling import Networks, paint, to_bytes
from renderer.miniature.words import Language

LANGUAGES: tuple[Language, ...] = ("zh", "en")

STORY_PROMPTS = (
    "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，坐在家里的沙发上，托着腮，无聊",
    "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，白天在公园里挥手，开心大笑",
    "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，黄昏的海边，微笑",
    "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，在教室里，难过流泪",
    "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，在星空下双手合十许愿，闭着眼睛，流星",
    "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，在舞台上，拿着麦克风唱歌",
    "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，走在夜晚的城市街道上，微笑",
    "动漫风格，一个紫色短发小女孩，穿着粉色连衣裙，夜晚，在卧室里，闭着眼睛",
    "anime style, a little girl with long blonde hair in a yellow dress and "
    "a little boy with short black hair in a blue t-shirt, in the park, by day, waving, smiling",
    "anime style, a blonde girl in a red dress and a black-haired boy in a blue shirt, by the sea, sunny day, smiling",
    "anime style, a blonde girl in a red coat and a black-haired boy in a blue coat, in the snow, laughing, at night",
    "a little boy with short black hair, wearing a blue t-shirt, in the classroom, bored, hand on chin",
    "a little girl with long blonde hair, wearing a red dress, in the snow, arms raised, laughing, full body",
    "a pink-haired girl in a white dress, on stage, singing, holding a microphone, half body",
    "一个黑色长发女孩，穿着黄色外套，在雪地里，哭泣，半身",
    "一个棕色短发小男孩，特写，大笑，白天，公园",
)


def contact_page(pictures: Sequence[Bytes], columns: int, scale: int = 2) -> Image.Image:
    """The pictures in rows, enlarged without smoothing."""
    rows = [np.concatenate(pictures[i : i + columns], axis=1) for i in range(0, len(pictures), columns)]
    page = Image.fromarray(np.concatenate(rows, axis=0))
    return page.resize((page.width * scale, page.height * scale), Image.Resampling.NEAREST)


def save_story_page(networks: Networks, size: int, seed: int, file: Path) -> None:
    """Sixteen prompts as an author would write them, eight in a row."""
    contact_page(list(paint(networks, STORY_PROMPTS, size, seed)), columns=8).save(file)


def measure_obedience(networks: Networks, total: int, count: int, size: int, seed: int) -> dict[str, float]:
    """How often the attributes of held-out captions are painted: shares over `count` pictures of one figure.

    The captions name everything that shows, alternately in Chinese and in English; total is the data set's length.
    """
    held_out = (picture_of(index) for index in range(total - HELD_OUT, total))
    chosen = [picture for picture in held_out if len(picture.figures) == 1][:count]
    prompts = [full_caption(picture, LANGUAGES[i % 2]) for i, picture in enumerate(chosen)]
    painted = [
        each for i in range(0, len(prompts), 16) for each in paint(networks, prompts[i : i + 16], size, seed + i)
    ]
    return obeyed_shares(chosen, painted)


def save_comparison_page(networks: Networks, pictures: Bytes, count: int, seed: int, file: Path) -> None:
    """Held-out pictures as drawn, each above what is painted from its full caption, alternately Chinese and English."""
    first = len(pictures) - count
    prompts = [full_caption(picture_of(first + i), LANGUAGES[i % 2]) for i in range(count)]
    painted = paint(networks, prompts, pictures.shape[1], seed)
    rows = [half for i in range(0, count, 8) for half in (*pictures[first + i : first + i + 8], *painted[i : i + 8])]
    contact_page(rows, columns=8).save(file)


def save_reconstruction_page(networks: Networks, pictures: Bytes, file: Path) -> None:
    """Sixteen held-out pictures, each above its way there and back through the autoencoder."""
    shown = np.asarray(pictures[-16:])
    with torch.no_grad():
        decoded = to_bytes(networks.vae.decode(encode(networks.vae, shown)).sample)
    contact_page([half for i in (0, 8) for half in (*shown[i : i + 8], *decoded[i : i + 8])], columns=8).save(file)
