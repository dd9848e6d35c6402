"""Weights of convolutions as oneDNN multiplies them on the CPU: brought into that order once, not at each call.

PyTorch gives oneDNN weights as they lie, and oneDNN reorders them into blocks, each time anew: for small pictures, few
at once, that takes longer than the convolution. What comes out is equal to rounding, mostly to the bit: for some
shapes oneDNN chooses another kernel.
"""

from __future__ import annotations

import itertools
import platform
from collections.abc import Callable
from typing import Self, cast
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

HAS_PACKING = (
    platform.machine() in ("x86_64", "AMD64")
    and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and hasattr(torch.ops.mkldnn, "_reorder_convolution_weight")
    and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
)
MOST_BYTES = 512 * 1024**2
"""Of weights that are packed, which are then in memory twice. Larger models compute for so long at each call that
reordering their weights is lost in it.
"""
USUAL_INPUT = (2, 16, 16)
"""Rows, height and width of an input that weights are packed for. Any other will do: where oneDNN chooses another order
for it, it reorders as ever."""

_OPS = torch.library.Library("kolors_storyboard", "FRAGMENT")  # type: ignore[no-untyped-call]
_OPS.define(  # type: ignore[no-untyped-call]
    "convolve(Tensor input, Tensor weight, Tensor? bias, int[] padding, int[] stride, int number) -> Tensor"
)


class PackedConv2d(nn.Conv2d):
    """A convolution that keeps a packed copy of its weight, for inputs in fp32 where no gradients are wanted.

    `number` tells it from all others that there are in this process.
    """

    number: int
    packed: Tensor

    def forward(self, input: Tensor) -> Tensor:
        if not _suits(input):
            return super().forward(input)
        if torch.compiler.is_compiling():  # which knows nothing of packed tensors
            padding, stride = cast(list[int], self.padding), self.stride
            return cast(
                Tensor,
                torch.ops.kolors_storyboard.convolve(input, self.weight, self.bias, padding, stride, self.number),
            )
        return self.convolve(input)

    def convolve(self, input: Tensor) -> Tensor:
        """[batch, out, height, width], channels last."""
        how = self.padding, self.stride, self.dilation, self.groups
        unfused: tuple[str, list[float], str] = ("none", [], "")
        return cast(Tensor, torch.ops.mkldnn._convolution_pointwise(input, self.packed, self.bias, *how, *unfused))

    def put(self, weight: Tensor) -> None:
        """Takes another weight in place of its own and where that lies."""
        self.weight.data.copy_(weight)
        self.pack()

    def pack(self) -> None:
        """Packs the weight as it is now."""
        rows, height, width = USUAL_INPUT
        size = [rows, self.in_channels, height, width]
        how = (self.padding, self.stride, self.dilation, self.groups, size)
        self.packed = torch.ops.mkldnn._reorder_convolution_weight(self.weight.detach(), *how)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """What is moved to another device or type is an ordinary convolution from then on."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if _can_be(self):
            self.pack()
        else:
            vars(self).pop("packed", None)
            self.__class__ = nn.Conv2d  # type: ignore[assignment]
        return self


_CONVOLUTIONS: WeakValueDictionary[int, PackedConv2d] = WeakValueDictionary()


def pack_convolutions(module: nn.Module) -> None:
    """Packs the weights of all convolutions in a module that lies on the CPU in fp32, if that is no large model.

    Its names and parameters stay. Whoever changes a weight in place does so by `put`.
    """
    found = [it for it in module.modules() if type(it) is nn.Conv2d and _can_be(it)]
    if not HAS_PACKING or sum(it.weight.nbytes for it in found) > MOST_BYTES:
        return
    for convolution in found:
        convolution.__class__ = PackedConv2d
        packed = cast(PackedConv2d, convolution)
        packed.number = next(number for number in itertools.count() if number not in _CONVOLUTIONS)
        _CONVOLUTIONS[packed.number] = packed
        packed.pack()


def _can_be(convolution: nn.Conv2d) -> bool:
    weight = convolution.weight
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and not weight.requires_grad
        and convolution.padding_mode == "zeros"
        and not isinstance(convolution.padding, str)
    )


def _suits(input: Tensor) -> bool:
    return input.dtype == torch.float32 and not torch.is_grad_enabled()


def _convolve(
    input: Tensor, weight: Tensor, bias: Tensor | None, padding: list[int], stride: list[int], number: int
) -> Tensor:
    return _CONVOLUTIONS[number].convolve(input)


def _convolved(
    input: Tensor, weight: Tensor, bias: Tensor | None, padding: list[int], stride: list[int], number: int
) -> Tensor:
    shape = torch.nn.functional.conv2d(input, weight, bias, stride, padding).shape
    return input.new_empty(shape).to(memory_format=torch.channels_last)


_OPS.impl("convolve", _convolve, "CPU")  # type: ignore[no-untyped-call]
torch.library.register_fake("kolors_storyboard::convolve", _convolved, lib=_OPS)
