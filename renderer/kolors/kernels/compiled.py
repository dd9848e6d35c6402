"""A UNet compiled by torch's compiler, in part or wholly, for few shapes; never a reason to fail."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from platformdirs import user_cache_path
from torch import Tensor, nn

from renderer.kolors import memory
from renderer.quieting import quieten_compiler

log = logging.getLogger(__name__)

REGIONS = ("BasicTransformerBlock", "ResnetBlock2D")
"""What is compiled on a GPU, by the names of DiffSynth's classes: nearly all of the work, in few shapes that repeat, so
that one graph serves many blocks (the idea of diffusers' `compile_repeated_blocks`). On the CPU it is the whole UNet:
measured with the miniature, a batch of four, regions take 1.00 to 1.05 times as long as whole, uncompiled; a whole UNet
0.87 times.
"""
MOST_SHAPES = 2
"""Shapes that a region is compiled for, so that a story of many sizes doesn't compile all day; others go without."""
MOST_GRAPHS = 64
"""Graphs of one forward that may live together: a UNet's regions of one class come in a dozen shapes."""
CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"

Call = Callable[..., Tensor]
Compile = Callable[[Call], Call]


@dataclass(slots=True)
class Use:
    """Whether code that was compiled or captured `ran`, the `seconds` that were spent on compiling it, and whether it
    was `told` that they would be.
    """

    ran: bool = False
    seconds: float = 0.0
    told: bool = False


class CompiledUNet:
    """A UNet whose forwards go through compiled code while `switched` is on, and through their own otherwise.

    LoRAs may be merged into the weights and texts kept in the attentions: compiled code takes both as inputs. Where the
    compiler is missing or fails, that is said once, and all goes on without.
    """

    def __init__(self, unet: nn.Module, compile_: Compile | None = None) -> None:
        """`compile_` takes the place of torch's compiler."""
        self._use: Use | None = None
        self._failed = False
        self._compile = compile_ or _by_torch()
        for region in _regions(unet):
            cast(Any, region).forward = self._guarded(region.forward)

    @contextmanager
    def switched(self, on: bool) -> Iterator[Use]:
        """Compiled code is used inside, if `on` and if it can be had. What comes tells afterwards how that went."""
        use = Use()
        self._use = use if on else None
        try:
            yield use
        finally:
            self._use = None

    def _guarded(self, plain: Call) -> Call:
        compiled = self._compile(plain)
        shapes: set[tuple[int, ...]] = set()

        def forward(*args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401
            shape = tuple(next(it.shape for it in (*args, *kwargs.values()) if isinstance(it, Tensor)))
            use = self._use
            if use is None or self._failed or (shape not in shapes and len(shapes) == MOST_SHAPES):
                return plain(*args, **kwargs)
            if shape not in shapes and not use.told:
                use.told = True
                log.info("compiling the UNet: a minute or two the first time, seconds from then on")
            started = time.perf_counter()
            try:
                result = compiled(*args, **kwargs)
            except Exception as error:
                if memory.is_out_of_memory(error):
                    raise
                self._give_up(error)
                return plain(*args, **kwargs)
            if shape not in shapes:
                shapes.add(shape)
                use.seconds += time.perf_counter() - started
            use.ran = True
            return result

        return forward

    def _give_up(self, error: Exception) -> None:
        self._failed = True
        why = next(iter(str(error).strip().splitlines()), "")
        log.warning("torch's compiler doesn't work here (%s: %s): going on without it", type(error).__name__, why)


def _regions(unet: nn.Module) -> list[nn.Module]:
    if next(unet.parameters()).device.type == "cpu":
        return [unet]
    return [module for module in unet.modules() if type(module).__name__ in REGIONS]


def _by_torch() -> Compile:
    """torch.compile, with its results kept on disk for later runs; whoever sets its own variable has them there."""
    os.environ.setdefault(CACHE_VARIABLE, str(user_cache_path("kolors-storyboard", appauthor=False) / "compiled"))

    def compile_(plain: Call) -> Call:
        ready: list[Call] = []

        def compiled(*args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401
            if not ready:  # here, where a compiler that can't even be imported is an error like any other of its
                _allow_graphs(MOST_GRAPHS)
                quieten_compiler()
                ready.append(cast(Call, torch.compile(plain, dynamic=False)))
            return ready[0](*args, **kwargs)

        return compiled

    return compile_


def _allow_graphs(most: int) -> None:
    import torch._dynamo as dynamo

    name = "recompile_limit" if hasattr(dynamo.config, "recompile_limit") else "cache_size_limit"  # before torch 2.7
    setattr(dynamo.config, name, max(most, getattr(dynamo.config, name)))
