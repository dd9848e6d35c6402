"""DeepCache: the deep blocks' features, which change little from step to step, kept for some steps (arXiv:2312.00858).

The cut is between the outermost blocks and all others. A step that isn't whole goes through the first down block and
the last up block alone, which takes what the deep blocks gave it at the last whole step.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

Skips = tuple[Tensor, ...]
"""What the way down hands over to the way up, in the order in which it is made."""


class DeepCache:
    """A UNet in one denoising of one batch. A step that isn't whole uses the deep features of the last that was."""

    def __init__(self, unet: nn.Module) -> None:
        self._unet: Any = unet
        self._deep: Tensor | None = None

    def __call__(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        added_cond_kwargs: dict[str, Tensor],
        whole: bool,
    ) -> Tensor:
        """The UNet's output for its arguments; of a whole step the same bits as the UNet's own. The first is whole."""
        unet = self._unet
        told = {"temb": self._embedding(sample, timestep, added_cond_kwargs)}
        told["encoder_hidden_states"] = encoder_hidden_states
        hidden = unet.conv_in(sample)
        down, made = unet.down_blocks[0](hidden_states=hidden, **told)
        skips = (hidden, *made)
        if whole:
            self._deep = self._through_deep_blocks(down, skips, told)
        assert self._deep is not None, "the first step is whole"
        last = unet.up_blocks[-1]
        hidden = last(hidden_states=self._deep, res_hidden_states_tuple=skips[: len(last.resnets)], **told)
        out: Tensor = unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))
        return out

    def _through_deep_blocks(self, hidden: Tensor, skips: Skips, told: dict[str, Tensor]) -> Tensor:
        """What the last up block is given by the one before it."""
        unet = self._unet
        for block in unet.down_blocks[1:]:
            hidden, made = block(hidden_states=hidden, **told)
            skips += made
        hidden = cast(Tensor, unet.mid_block(hidden, **told))
        for block in unet.up_blocks[:-1]:
            skips, its = skips[: -len(block.resnets)], skips[-len(block.resnets) :]
            # Sides that are odd somewhere on the way down come back by the size of what they are joined with.
            size = skips[-1].shape[2:]
            hidden = block(hidden_states=hidden, res_hidden_states_tuple=its, upsample_size=size, **told)
        return hidden

    def _embedding(self, sample: Tensor, timestep: Tensor, added: dict[str, Tensor]) -> Tensor:
        """What the UNet makes of timestep, pooled text and time ids."""
        unet = self._unet
        embedding: Tensor = unet.time_embedding(unet.time_proj(timestep.reshape(1)).to(sample.dtype))
        sizes = unet.add_time_proj(added["time_ids"].flatten()).reshape(len(sample), -1)
        pooled = torch.cat([added["text_embeds"], sizes], dim=-1)
        more: Tensor = unet.add_embedding(pooled.to(embedding.dtype))
        return embedding + more
