"""The vocabulary: SentencePiece pieces learnt from the captions, used through diffusers' ChatGLM tokenizer."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers.pipelines.kolors.tokenizer import ChatGLMTokenizer

from renderer.miniature import words
from renderer.miniature.captions import write_caption
from renderer.miniature.dataset import picture_of
from renderer.miniature.network import SPARE_ROWS, TEXT_LENGTH

_ENGLISH_PIECES = 500
_CAPTIONS = 10_000

_CHINESE_WORDS = (
    "一个 穿着 身穿 紫色 黑色 棕色 金色 粉色 粉红色 蓝色 白色 红色 黄色 短发 长发 小女孩 女孩 小姑娘 女生 "
    "小男孩 男孩 男生 连衣裙 裙子 短袖 条纹 外套 大衣 衣服 微笑 大笑 开心 高兴 快乐 难过 流泪 伤心 哭泣 无聊 "
    "发呆 唱歌 歌唱 眼睛 闭上 闭着 挥手 挥着手 打招呼 举起 双手 欢呼 托着 托腮 下巴 合十 许愿 祈祷 麦克风 "
    "话筒 坐在 坐着 站着 站立 沙发 客厅 家里 家中 公园 草地 海边 沙滩 大海 海滩 星空 流星 夜空 繁星 教室 学校 "
    "舞台 聚光灯 演唱会 卧室 房间 床边 城市 街道 街头 街上 雪地 下雪 雪人 冬天 白天 晴天 阳光 明媚 黄昏 日落 "
    "夕阳 傍晚 夜晚 晚上 深夜 夜里 特写 头像 近景 半身 中景 全身 远景 动漫 风格 卡通 绘本 插画"
).split()
"""Chinese is cut into these words and single characters, so that attributes meet the model as pieces of their own."""


def train_vocabulary(folder: Path, seed: int) -> None:
    """Writes `tokenizer.model` and `tokenizer_config.json` into `folder`."""
    import sentencepiece  # only training makes a vocabulary

    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    captions = [write_caption(picture_of(i), "en", rng) for i in range(_CAPTIONS)]
    symbols = list(dict.fromkeys([*_CHINESE_WORDS, *_chinese_characters()]))
    # Written through memory: a file's name would become a part of the model.
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(captions),
        model_writer=model,
        # 256 pieces are the bytes that everything else falls back to, 3 are <unk>, <s> and </s>.
        vocab_size=_ENGLISH_PIECES + len(symbols) + 256 + 3,
        model_type="bpe",
        normalization_rule_name="nmt_nfkc_cf",
        user_defined_symbols=symbols,
        character_coverage=1.0,
        byte_fallback=True,
        num_threads=1,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    config = {
        "name_or_path": "kolors-mini",
        "model_max_length": TEXT_LENGTH,
        "padding_side": "left",
        "tokenizer_class": "ChatGLMTokenizer",
        "remove_space": False,
        "do_lower_case": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _chinese_characters() -> list[str]:
    """Every Chinese character of the captions' words."""
    tables = [words.SUBJECT, words.HAIR_COLOR, words.HAIR_LENGTH, words.OUTFIT, words.OUTFIT_COLOR, words.EXPRESSION]
    tables += [words.ACTION, words.POSTURE, words.PLACE, words.TIME, words.FRAMING]
    lists = [options for table in tables for options in table["zh"].values()] + [words.STYLE["zh"], words.FILLERS["zh"]]
    text = "".join("".join(options) for options in lists) + "一个穿着身的和发衣服"
    return sorted({c for c in text if "\u4e00" <= c <= "\u9fff"})


def load_tokenizer(folder: Path) -> ChatGLMTokenizer:
    """The tokenizer of a model's `tokenizer` folder."""
    return ChatGLMTokenizer(vocab_file=str(folder / "tokenizer.model"))


def table_rows(tokenizer: ChatGLMTokenizer) -> int:
    """The rows of the vocabulary table: every token, and the spare ones."""
    return int(tokenizer.vocab_size) + SPARE_ROWS


def tokenize(tokenizer: ChatGLMTokenizer, texts: Sequence[str]) -> torch.Tensor:
    """[N, 64] token ids as KolorsPipeline makes them: `[gMASK] sop`, then the text, padded on the left."""
    ids = tokenizer(list(texts), padding="max_length", max_length=TEXT_LENGTH, truncation=True, return_tensors="pt")[
        "input_ids"
    ]
    assert isinstance(ids, torch.Tensor)
    return ids


def mask_and_positions(ids: torch.Tensor, prefix: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The attention mask and the position ids that the tokenizer gives for `ids`; `prefix` is the id of `[gMASK]`."""
    mask = (ids == prefix).cumsum(1).clamp(max=1)
    return mask, (mask.cumsum(1) - 1).clamp(min=0)
