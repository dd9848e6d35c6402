"""ChatGLM3 as the reader of prompts, its layers loaded one after the other.

The same numbers as `diffusers.pipelines.kolors.ChatGLMModel`, whose import takes seconds and which has to be in memory
as a whole: 12.5 GB in half precision, of which a layer is 0.4. Architecture after THUDM/chatglm3-6b
(modeling_chatglm.py): RMSNorm before attention and before the gated feed-forward, half of each head turned by position,
a few heads of keys and values shared by many of queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from renderer.errors import ModelError
from renderer.kolors.card import mending
from renderer.kolors.layout import read_json, weight_files
from renderer.kolors.weight_files import WeightFiles
from renderer.kolors.weights import fill

BASE = 10_000.0
"""Of the turning frequencies."""
FIXED = {
    "rmsnorm": True,
    "multi_query_attention": True,
    "apply_residual_connection_post_layernorm": False,
    "pre_seq_len": None,
}
"""What a configuration may say otherwise, and ChatGLM3 doesn't."""
TABLE = "embedding.word_embeddings.weight"
UNREAD = ("output_layer.", "encoder.final_layernorm.", "rotary_pos_emb.")
"""Parts that states don't pass, or that are computed."""


class Place(NamedTuple):
    """Where the pieces of one text stand: `turns` [pieces, 1, frequencies, 2], cosine and sine; and which pieces each
    piece sees, [pieces, pieces] (None: those before it and itself).
    """

    turns: Tensor
    seen: Tensor | None


class ChatGLM:
    """A folder's ChatGLM3 on a device, in a type; only its table of pieces is open."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        """Raises ModelError where the folder's text encoder is damaged, or isn't ChatGLM3."""
        self._folder, self._device, self._dtype = folder, device, dtype
        self._config = read_json(folder / "text_encoder" / "config.json")
        for name, value in FIXED.items():
            if self._config.get(name, value) != value:
                raise ModelError(
                    f"{folder / 'text_encoder'}: its {name} is {self._config[name]}, ChatGLM3's {value}: "
                    f"it is not Kolors'. {mending(folder)}"
                )
        self._files = WeightFiles(weight_files(folder, "text_encoder"), device)
        self._names = {name.removeprefix("transformer."): name for name in self._files.names}
        self._refuse_unknown()
        self.table = self._table()

    @property
    def count(self) -> int:
        """How many layers there are."""
        return int(self._config["num_layers"])

    def layers(self) -> Iterator[Layer]:
        """Each layer, loaded when its turn comes. Raises ModelError."""
        for number in range(self.count):
            with torch.device("meta"):
                layer = Layer(self._config)
            self._fill(layer, f"encoder.layers.{number}.")
            yield layer
            del layer  # so that it can go before the next one comes

    def rows(self, ids: Tensor) -> Tensor:
        """The table's rows of some pieces [pieces, width], on the device, in the type."""
        return self.table[ids.to(self.table.device)].to(self._device, self._dtype)

    def place(self, mask: Sequence[int], positions: Sequence[int]) -> Place:
        """For a text whose padding has 0 in `mask`. Padding sees everything, and is seen by padding alone."""
        frequencies = BASE ** (-torch.arange(0, self._width // 2, 2, device=self._device) / (self._width // 2))
        angles = torch.tensor(positions, dtype=torch.float, device=self._device).outer(frequencies)
        turns = torch.stack([angles.cos(), angles.sin()], dim=-1).to(self._dtype)
        if all(mask):
            return Place(turns.unsqueeze(1), None)
        real = torch.tensor(mask, dtype=torch.bool, device=self._device)
        before = torch.ones(len(mask), len(mask), dtype=torch.bool, device=self._device).tril()
        return Place(turns.unsqueeze(1), before & real | ~real.unsqueeze(1))

    @property
    def _width(self) -> int:
        return int(self._config["kv_channels"])

    def _table(self) -> Tensor:
        """On the CPU and in the file's type, so that it stays in its file until rows of it are read."""
        on_cpu = WeightFiles(weight_files(self._folder, "text_encoder"), torch.device("cpu"))
        with torch.device("meta"):
            embedding = _Table(self._config["padded_vocab_size"], self._config["hidden_size"])
        state = {"weight": on_cpu.read(self._names[TABLE])} if TABLE in self._names else {}
        fill(embedding, state, self._folder, "text_encoder", TABLE.removesuffix("weight"))
        return embedding.weight.detach()

    def _fill(self, layer: Layer, prefix: str) -> None:
        state = {
            name.removeprefix(prefix): self._files.read(whole, self._dtype)
            for name, whole in self._names.items()
            if name.startswith(prefix)
        }
        fill(layer, state, self._folder, "text_encoder", prefix)

    def _refuse_unknown(self) -> None:
        prefixes = (TABLE, *UNREAD, *(f"encoder.layers.{number}." for number in range(self.count)))
        unknown = [name for name in self._names if not name.startswith(prefixes)]
        if unknown:
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            raise ModelError(
                f"{self._folder / 'text_encoder'}: the file has, unknown to Kolors, {unknown[0]}{more}. "
                f"{mending(self._folder)}"
            )


class Layer(nn.Module):
    """One layer: attention, then a feed-forward, each added to what comes in."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width, epsilon = config["hidden_size"], config.get("layernorm_epsilon", 1e-5)
        self.input_layernorm = _Norm(width, epsilon)
        self.self_attention = _Attention(config)
        self.post_attention_layernorm = _Norm(width, epsilon)
        self.mlp = _FeedForward(width, config["ffn_hidden_size"], config.get("add_bias_linear", False))

    def forward(self, hidden: Tensor, place: Place) -> Tensor:
        """[pieces, width] to the same."""
        hidden = hidden + self.self_attention(self.input_layernorm(hidden), place)
        gained: Tensor = self.mlp(self.post_attention_layernorm(hidden))
        return hidden + gained


class _Table(nn.Module):
    """As nn.Embedding, whose drawing of first values imports torch's compiler where there is nothing to draw into."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, width))


class _Norm(nn.Module):
    """RMSNorm: the mean square in fp32, and the weight multiplied before rounding back."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight, self._epsilon = nn.Parameter(torch.empty(width)), epsilon

    def forward(self, hidden: Tensor) -> Tensor:
        exact = torch.promote_types(hidden.dtype, torch.float32)
        scale = torch.rsqrt(hidden.to(exact).pow(2).mean(-1, keepdim=True) + self._epsilon)
        return (self.weight * (hidden * scale)).to(hidden.dtype)


class _Attention(nn.Module):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self._heads, self._shared = config["num_attention_heads"], config["multi_query_group_num"]
        self._width, plain = config["kv_channels"], config.get("add_bias_linear", False)
        queries = self._heads * self._width
        both = queries + 2 * self._shared * self._width
        biased = plain or config.get("add_qkv_bias", False)
        self.query_key_value = nn.Linear(config["hidden_size"], both, bias=biased)
        self.dense = nn.Linear(queries, config["hidden_size"], bias=plain)

    def forward(self, hidden: Tensor, place: Place) -> Tensor:
        heads: Tensor = self.query_key_value(hidden).view(len(hidden), -1, self._width)
        query, key, value = torch.split(heads, [self._heads, self._shared, self._shared], dim=1)
        query, key = _turned(query, place.turns), _turned(key, place.turns)
        key, value = (it.repeat_interleave(self._heads // self._shared, dim=1) for it in (key, value))
        query, key, value = (it.transpose(0, 1).unsqueeze(0) for it in (query, key, value))
        attended = scaled_dot_product_attention(query, key, value, place.seen, is_causal=place.seen is None)
        found: Tensor = self.dense(attended[0].transpose(0, 1).flatten(1))
        return found


class _FeedForward(nn.Module):
    def __init__(self, width: int, inner: int, biased: bool) -> None:
        super().__init__()
        self.dense_h_to_4h = nn.Linear(width, 2 * inner, bias=biased)
        self.dense_4h_to_h = nn.Linear(inner, width, bias=biased)

    def forward(self, hidden: Tensor) -> Tensor:
        gate, inner = self.dense_h_to_4h(hidden).chunk(2, dim=-1)
        found: Tensor = self.dense_4h_to_h(silu(gate) * inner)
        return found


def _turned(heads: Tensor, turns: Tensor) -> Tensor:
    """[pieces, heads, width] with the first half of each head's numbers turned, as pairs, by the piece's angles."""
    turning, still = heads.chunk(2, dim=-1)
    one, other = turning.reshape(*turning.shape[:-1], -1, 2).unbind(-1)
    cosine, sine = turns.unbind(-1)
    turned = torch.stack([one * cosine - other * sine, other * cosine + one * sine], dim=-1).flatten(-2)
    return torch.cat([turned, still], dim=-1)
