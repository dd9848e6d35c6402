"""Linear layers on the CPU by oneDNN, and a UNet's forwards without copies that nobody needs: for painting.

PyTorch gives fp32 matrices to MKL, which makes less of AMD's processors. Measured on one core of an EPYC (Zen 5) with
the miniature's layers: MKL 95 GFLOP/s, oneDNN 150 to 220, for weights as they lie: LoRAs merge into them as ever.
What comes out is equal to rounding: 3e-6 in predicted noise that reaches 4.7. The rule is fixed, not measured at run
time: on one machine pictures come out of the same kernels each time.
"""

from __future__ import annotations

import platform
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

HAS_ONEDNN = (
    platform.machine() in ("x86_64", "AMD64")
    and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)
"""With AVX2 alone there is nothing to gain: MKL and oneDNN both use it on any processor."""

_OPS = torch.library.Library("kolors_storyboard", "FRAGMENT")  # type: ignore[no-untyped-call]
_OPS.define("linear(Tensor rows, Tensor weight, Tensor? bias) -> Tensor")  # type: ignore[no-untyped-call]


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As `torch.nn.functional.linear`; in fp32 on a CPU with AVX-512, where no gradients are wanted, by oneDNN."""
    if not _suits(rows, weight):
        return functional.linear(rows, weight, bias)
    if torch.compiler.is_compiling():  # torch's compiler takes oneDNN's own operation for constant weights only
        return cast(Tensor, torch.ops.kolors_storyboard.linear(rows, weight, bias))
    return _by_onednn(rows, weight, bias)


class Linear(nn.Linear):
    """A linear layer that multiplies by `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


def quicken(unet: nn.Module) -> None:
    """Has a UNet of DiffSynth's multiply by `linear`, and leave pictures channels last from one layer to the next.

    For painting: its names, parameters and their layout stay, and layers that are no plain ones are left alone.
    """
    for module in unet.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear
    for module in unet.modules():
        kind = type(module).__name__
        if kind == "GEGLU" or (kind == "Transformer2DModel" and module.use_linear_projection):
            module.__class__ = _quick(cast(Any, type(module)))


@cache
def _quick(kind: Any) -> Any:  # noqa: ANN401
    """One of DiffSynth's classes with a forward of ours. A class, since a forward of each object's own would be code of
    its own to torch's compiler: a graph for each of 70 blocks that could share one.
    """

    class GEGLU(kind):  # type: ignore[misc]
        def forward(self, hidden_states: Tensor) -> Tensor:
            if torch.compiler.is_compiling() or not _gates(self, hidden_states):
                return cast(Tensor, super().forward(hidden_states))
            return _gated(self, hidden_states)

    class Transformer2DModel(kind):  # type: ignore[misc]
        def forward(
            self,
            hidden_states: Tensor,
            encoder_hidden_states: Tensor | None = None,
            attention_mask: Tensor | None = None,
        ) -> Tensor:
            return _transformed(self, hidden_states, encoder_hidden_states)

    return GEGLU if kind.__name__ == "GEGLU" else Transformer2DModel


def _gates(module: Any, hidden_states: Tensor) -> bool:  # noqa: ANN401
    return type(module.proj) is Linear and _suits(hidden_states, module.proj.weight)


def _gated(module: Any, hidden_states: Tensor) -> Tensor:  # noqa: ANN401
    """DiffSynth's GEGLU, `x·W₁ · gelu(x·W₂)`, with GELU and product done while oneDNN has the numbers at hand."""
    proj = module.proj
    (weight, gate_weight), (bias, gate_bias) = proj.weight.chunk(2), proj.bias.chunk(2)
    onednn = torch.ops.mkldnn._linear_pointwise
    gate = onednn(hidden_states, gate_weight, gate_bias, "gelu", [], "none")
    return cast(Tensor, onednn.binary(hidden_states, gate, weight, bias, "mul"))


def _transformed(module: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None) -> Tensor:  # noqa: ANN401
    """DiffSynth's `Transformer2DModel.forward`, but for its copy from channels last to channels first at the end."""
    batch, channels, height, width = hidden_states.shape
    tokens = module.norm(hidden_states).permute(0, 2, 3, 1).reshape(batch, -1, channels)
    tokens = module.proj_in(tokens)
    for block in module.transformer_blocks:
        tokens = block(tokens, encoder_hidden_states=encoder_hidden_states)
    changed = module.proj_out(tokens).reshape(batch, height, width, channels).permute(0, 3, 1, 2)
    return cast(Tensor, changed + hidden_states)


def _suits(rows: Tensor, weight: Tensor) -> bool:
    return (
        rows.device.type == "cpu"
        and rows.dtype == weight.dtype == torch.float32
        and not torch.is_grad_enabled()
        and HAS_ONEDNN
    )


def _by_onednn(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], ""))


def _shaped(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return rows.new_empty((*rows.shape[:-1], len(weight)))


_OPS.impl("linear", _by_onednn, "CPU")  # type: ignore[no-untyped-call]
torch.library.register_fake("kolors_storyboard::linear", _shaped, lib=_OPS)
