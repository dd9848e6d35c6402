"""The one place where pictures attend: our module in place of every attention of DiffSynth's UNet.

It keeps the layers `to_q, to_k, to_v, to_out.0` and so every name in weight and LoRA files. Here hypernetworks change
what keys and values are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

ContextChange = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From what keys and what values are made of to what they are to be made of, each [batch, tokens, width of context]."""


class Attention(nn.Module):
    """Multi-head attention from picture tokens to themselves, or to text states.

    `changes` are made to that context, one after the other, before keys and values are made of it.
    """

    def __init__(self, heads: int, to_q: nn.Module, to_k: nn.Module, to_v: nn.Module, to_out: nn.Module) -> None:
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v, self.to_out = to_q, to_k, to_v, to_out
        self.changes: tuple[ContextChange, ...] = ()

    def forward(self, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None) -> Tensor:
        """[batch, tokens, width] of the picture, and [batch, text tokens, text width] or None to attend to itself."""
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = self._split(self.to_q(hidden_states)), *self._keys_values(context)
        attended = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return cast(Tensor, cast(nn.ModuleList, self.to_out)[0](attended))

    def _keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        for_keys = for_values = context
        for change in self.changes:
            for_keys, for_values = change(for_keys, for_values)
        return self._split(self.to_k(for_keys)), self._split(self.to_v(for_values))

    def _split(self, tokens: Tensor) -> Tensor:
        """[batch, tokens, heads·width] to [batch, heads, tokens, width]."""
        return tokens.view(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


def install_attention(unet: nn.Module) -> list[str]:
    """Puts `Attention` in place of each attention of a UNet, around the same layers; the names of the places."""
    names = [name for name, module in unet.named_modules() if _is_attention(module)]
    for name in names:
        old = unet.get_submodule(name)
        new = Attention(cast(int, old.heads), *(old.get_submodule(it) for it in ("to_q", "to_k", "to_v", "to_out")))
        parent, _, own = name.rpartition(".")
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


def _is_attention(module: nn.Module) -> bool:
    return all(hasattr(module, name) for name in ("heads", "to_q", "to_k", "to_v", "to_out"))
