"""Linear layers in 8-bit floating point: half of 16 bits' memory, and quicker where a GPU multiplies such numbers.

Weights have a scale for each output, the rows (tokens) that come in get one each as they come, so that the largest
number of each is e4m3's largest. Sums, scales and bias are in more bits, and what goes out is bfloat16. Where the
device can't multiply them, the same numbers are multiplied in a wider type.
"""

from __future__ import annotations

from typing import Self, cast

import torch
from torch import Tensor, nn

from renderer.kolors.kernels.multiplying import linear

FLOAT8 = torch.float8_e4m3fn
WIDE = torch.bfloat16
"""What goes into these layers and comes out, and what all other layers are in."""
LARGEST = torch.finfo(FLOAT8).max
LEAST = 1e-30
"""Rows whose largest number is below this count as zeros: their scale would be no normal number any more."""
SIDE = 16
"""What a matrix's sides must be multiples of where a GPU is to multiply it (`torch._scaled_mm`)."""

_TRIED: dict[torch.device, bool] = {}


class Float8Linear(nn.Module):
    """A linear layer with `weight` [outputs, inputs] in e4m3 and `scale` [outputs, 1] in fp32. It can't be trained."""

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.out_features, self.in_features = weight.shape

    @classmethod
    def of(cls, layer: nn.Linear) -> Self:
        """The layer, rounded."""
        bias = None if layer.bias is None else layer.bias.data.to(WIDE)
        return cls(*round_rows(layer.weight.data), bias)

    def forward(self, rows: Tensor) -> Tensor:
        """[…, outputs] in bfloat16, of […, inputs]."""
        return float8_linear(rows, self.weight, self.scale, self.bias)

    def put(self, weight: Tensor) -> None:
        """Takes another weight, rounded, in place of its own and where that lies."""
        for part, new in zip((self.weight, self.scale), round_rows(weight), strict=True):
            part.data.copy_(new)


def use_float8(unet: nn.Module) -> list[str]:
    """Rounds the linear layers of a UNet's transformer blocks, attentions' and feed-forwards', in place; their names.

    They are 85 % of Kolors' weights: rounded so, the UNet takes 2.98 GB instead of 5.16. The layers into and out of the
    transformers would be 1 % more, and cost the miniature 2.6 dB of likeness.
    """
    layers = {name: it for name, it in unet.named_modules() if ".transformer_blocks." in name}
    names = [name for name, layer in layers.items() if isinstance(layer, nn.Linear)]
    for name in names:
        parent, _, own = name.rpartition(".")
        setattr(unet.get_submodule(parent), own, Float8Linear.of(cast(nn.Linear, layers.pop(name))))
    return names


def round_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """e4m3 numbers [n, width] and fp32 scales [n, 1] whose products are about `rows`. What isn't finite stays so.

    In as few passes as can be without a kernel of its own: rows come anew at each of 420 layers. Compiled it is one.
    """
    largest = torch.linalg.vector_norm(rows, torch.inf, dim=-1, keepdim=True, dtype=torch.float32)
    scales = largest.clamp_min_(LEAST).div_(LARGEST)
    return (rows / scales).to(FLOAT8), scales


def float8_linear(rows: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """[…, outputs] in bfloat16 from `rows` […, inputs], for a rounded weight [outputs, inputs], scale [outputs, 1]."""
    product = multiply_rounded(*round_rows(rows.flatten(0, -2)), weight, scale, bias)
    return product.reshape(*rows.shape[:-1], len(weight))


def multiply_rounded(numbers: Tensor, own: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """[n, outputs] in bfloat16 of what `round_rows` made of rows [n, inputs] and of a weight [outputs, inputs]."""
    if multiplies_float8(numbers.device) and all(side % SIDE == 0 for side in weight.shape):
        return torch._scaled_mm(numbers, weight.t(), own, scale.t(), bias=bias, out_dtype=WIDE)
    # Ordinarily, in a type in which each e4m3 number is exact and no sum overflows.
    exact = torch.float32 if numbers.device.type == "cpu" else WIDE
    product = linear(numbers.to(exact), weight.to(exact)).float() * own * scale.t()
    return (product if bias is None else product + bias).to(WIDE)


def multiplies_float8(device: torch.device) -> bool:
    """Whether the device multiplies e4m3 matrices: NVIDIA's GPUs from compute capability 8.9 on. Found by doing it."""
    if device.type != "cuda":
        return False
    if device not in _TRIED:  # a plain dictionary, which torch's compiler can look things up in
        _TRIED[device] = _tried(device)
    return _TRIED[device]


def _tried(device: torch.device) -> bool:
    numbers = torch.ones(SIDE, SIDE, device=device).to(FLOAT8)
    scales = torch.ones(SIDE, 1, device=device)
    try:
        found = torch._scaled_mm(numbers, numbers.t(), scales, scales.t(), out_dtype=WIDE)
    except (RuntimeError, ValueError, AttributeError):
        return False
    return isinstance(found, Tensor) and bool((found == SIDE).all())  # old versions of torch give two tensors back
