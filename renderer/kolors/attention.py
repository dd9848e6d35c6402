"""The one place where pictures attend: our module in place of every attention of DiffSynth's UNet.

It keeps the layers `to_q, to_k, to_v, to_out.0` and so every name in weight and LoRA files. Here hypernetworks change
what keys and values are made of; and here is computed once what is the same at every step of a denoising.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Self, cast

import torch
from torch import Tensor, nn

from renderer.kolors.kernels.attending import attend
from renderer.kolors.kernels.multiplying import linear
from renderer.kolors.quick.float8 import Float8Linear, float8_linear

ContextChange = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From what keys and what values are made of to what they are to be made of, each [batch, tokens, width of context]."""
TO_TEXT = "attn2"
"""The attention to the text in each transformer block; `attn1` is the picture's to itself."""
_ONE_OF_THREE = re.compile(r"(.*\.attn1\.to_)[qkv](\.weight|\.scale)")


class Attention(nn.Module):
    """Multi-head attention from picture tokens to themselves, or (`to_text`) to text states.

    `changes` are made to that context, one after the other, before keys and values are made of it. `kept` are the keys
    and values of a text that all steps share, each [batch, heads, text tokens, width of a head]; of a smaller batch it
    is the last ones.
    """

    def __init__(
        self, heads: int, to_text: bool, to_q: nn.Module, to_k: nn.Module, to_v: nn.Module, to_out: nn.Module
    ) -> None:
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v, self.to_out = to_q, to_k, to_v, to_out
        self.to_text = to_text
        self.changes: tuple[ContextChange, ...] = ()
        self.kept: tuple[Tensor, Tensor] | None = None
        self._fused: Tensor | None = None
        self._scale: Tensor | None = None

    def forward(self, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None) -> Tensor:
        """[batch, tokens, width] of the picture, and [batch, text tokens, text width] or None to attend to itself."""
        if encoder_hidden_states is None and self._fused is not None and not self.changes:
            query, key, value = map(self._split, self._together(hidden_states, self._fused).chunk(3, dim=-1))
        else:
            context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
            query = self._split(self.to_q(hidden_states))
            kept = self.kept and (self.kept[0][-len(query) :], self.kept[1][-len(query) :])
            key, value = kept or self.keys_values(context)
        attended = attend(query, key, value).transpose(1, 2).flatten(2)
        return cast(Tensor, cast(nn.ModuleList, self.to_out)[0](attended))

    def keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Those of a context [batch, tokens, width], each [batch, heads, tokens, width of a head]."""
        for_keys = for_values = context
        for change in self.changes:
            for_keys, for_values = change(for_keys, for_values)
        return self._split(self.to_k(for_keys)), self._split(self.to_v(for_values))

    def fuse(self) -> None:
        """Has the weights of queries, keys and values lie in one block, for one multiplication instead of three.

        The three layers stay, with views of it, so that whoever writes into their weights writes into the block. Scales
        of weights in 8 bits lie in another.
        """
        layers = [cast(nn.Linear | Float8Linear, layer) for layer in (self.to_q, self.to_k, self.to_v)]
        self._fused = _in_one_block([layer.weight for layer in layers])
        scales = [layer.scale for layer in layers if isinstance(layer, Float8Linear)]
        self._scale = _in_one_block(scales) if scales else None

    def _together(self, hidden_states: Tensor, weights: Tensor) -> Tensor:
        """Queries, keys and values beside each other, [batch, tokens, 3·heads·width]."""
        if self._scale is None:
            return linear(hidden_states, weights)
        return float8_linear(hidden_states, weights, self._scale)

    def _split(self, tokens: Tensor) -> Tensor:
        """[batch, tokens, heads·width] to [batch, heads, tokens, width]."""
        return tokens.reshape(*tokens.shape[:2], self.heads, -1).transpose(1, 2)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Moves to another device or type take the weights one by one, and so out of their block."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self._fused is not None:
            self.fuse()
        return self


def install_attention(unet: nn.Module) -> list[str]:
    """Puts `Attention` in place of each attention of a UNet, around the same layers; the names of the places."""
    names = [name for name, module in unet.named_modules() if _is_attention(module)]
    for name in names:
        old = unet.get_submodule(name)
        parent, _, own = name.rpartition(".")
        layers = [old.get_submodule(it) for it in ("to_q", "to_k", "to_v", "to_out")]
        new = Attention(cast(int, old.heads), own == TO_TEXT, *layers)
        setattr(unet.get_submodule(parent), own, new)
    return names


def change_contexts(unet: nn.Module, changes: Iterable[ContextChange]) -> None:
    """Has every attention of a UNet make these changes to its context, and no others.

    Modules among them stay apart from the UNet: its state dict and its parameters are what they were.
    """
    chosen = tuple(changes)
    for module in unet.modules():
        if isinstance(module, Attention):
            module.changes = chosen


@contextmanager
def text_kept(unet: nn.Module, states: Tensor) -> Iterator[None]:
    """Has every attention to the text use keys and values of `states` [batch, text tokens, width], computed here once.

    The UNet must be called with these states alone until the block ends, or with the last ones of them. Same numbers as
    without it, bit for bit.
    """
    attentions = [module for module in unet.modules() if isinstance(module, Attention) and module.to_text]
    try:
        for attention in attentions:
            attention.kept = attention.keys_values(states)
        yield
    finally:
        for attention in attentions:
            attention.kept = None


def fuse_projections(unet: nn.Module) -> None:
    """Fuses queries, keys and values of a picture's attention to itself: for painting, where no layer is replaced."""
    for module in unet.modules():
        if isinstance(module, Attention) and not module.to_text:
            module.fuse()


def put_together(state: MutableMapping[str, Tensor], name: str) -> None:
    """Has queries', keys' and values' weights of a picture's attention lie in one block, once the last of them, `name`,
    is in a UNet's `state`: as `fuse` wants them. Done while weights are read, it leaves no holes in a device's memory
    but those that the next weights fill.
    """
    found = _ONE_OF_THREE.fullmatch(name)
    parts = [state.get(f"{found[1]}{letter}{found[2]}") for letter in "qkv"] if found else []
    whole = [part for part in parts if part is not None]
    if len(whole) == 3 and len({part.shape for part in whole}) == 1:  # what is damaged is for others to tell
        _in_one_block(whole)


def _in_one_block(parts: Sequence[Tensor]) -> Tensor:
    """What the parts hold, below each other in one tensor of which they are views from now on, if not already."""
    if _are_in_one_block(parts):
        whole = parts[0].data
        return whole.as_strided((sum(map(len, parts)), *whole.shape[1:]), whole.stride())
    block = torch.cat([part.data for part in parts])
    for part, view in zip(parts, torch.split(block, [len(it) for it in parts]), strict=True):
        part.data = view
    return block


def _are_in_one_block(parts: Sequence[Tensor]) -> bool:
    begin = parts[0].data_ptr()
    for part in parts:
        is_next = part.data_ptr() == begin and part.is_contiguous()
        if not is_next or part.untyped_storage().data_ptr() != parts[0].untyped_storage().data_ptr():
            return False
        begin += part.nbytes
    return True


def _is_attention(module: nn.Module) -> bool:
    return all(hasattr(module, name) for name in ("heads", "to_q", "to_k", "to_v", "to_out"))
