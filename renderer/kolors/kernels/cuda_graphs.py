"""A UNet's call captured as a CUDA graph, one for each shape: launched as a whole, not kernel by kernel.

That pays where the processor can't launch kernels as fast as the card computes them: small pictures, few at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from renderer.kolors import memory
from renderer.kolors.attention import Attention
from renderer.kolors.fitting.needs import GRAPHS
from renderer.kolors.kernels.compiled import Use

log = logging.getLogger(__name__)

MOST_LATENTS = 2 * 128 * 128
"""Latents (without channels) in a call that is captured: a guided picture of 1024². An estimate, not a measurement: its
7 TFLOP a half take a large card about as long as launching some thousand kernels takes a processor."""
WARM_UPS = 3
"""Calls before the capture, in which libraries choose their kernels and take their memory; torch's documents have 3."""

Replay = Callable[[], None]
Capture = Callable[[Callable[[], Tensor]], tuple[Replay, Tensor]]
"""Has some work captured: what repeats it, and the tensor in which its result lies each time."""


class Key(NamedTuple):
    """What a graph is good for: inputs of these shapes and types, and weights that still lie where they lay."""

    inputs: tuple[tuple[torch.Size, torch.dtype], ...]
    weights: tuple[int, int]


@dataclass(slots=True)
class _Graph:
    """`text` is what an attention kept of the text whose keys and values were last copied to `kept`."""

    replay: Replay
    inputs: list[Tensor]
    kept: list[Tensor]
    output: Tensor
    text: object = None


class GraphedUNet:
    """A UNet whose calls are captured at the first of a shape and replayed from then on, while `switched` is on.

    A graph reads and writes at fixed places: what a call is given is copied there, and so are the keys and values that
    attentions keep of a text. Where a capture fails, that is said, and calls of that shape go on without one.
    """

    def __init__(self, unet: nn.Module, capture: Capture | None = None) -> None:
        """`capture` takes the place of CUDA's."""
        self._use: Use | None = None
        self._plain: Callable[..., Tensor] = unet.forward
        parameters = list(unet.parameters())
        self._ends = parameters[0], parameters[-1]
        self._attentions = [it for it in unet.modules() if isinstance(it, Attention) and it.to_text]
        self._capture = capture or _by_cuda
        self._graphs: dict[Key, _Graph | None] = {}
        cast(Any, unet).forward = self._forward

    @contextmanager
    def switched(self, use: Use | None) -> Iterator[None]:
        """Graphs are used inside, unless `use`, which hears of it, is None."""
        self._use = use
        try:
            yield
        finally:
            self._use = None

    def forget(self) -> None:
        """Gives up all graphs and the memory that they keep; they are captured anew."""
        self._graphs.clear()

    def _forward(
        self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, added_cond_kwargs: dict[str, Tensor]
    ) -> Tensor:
        kept = [it for attention in self._attentions for it in attention.kept or ()]
        inputs = [sample, timestep, encoder_hidden_states, *added_cond_kwargs.values()]
        latents = sample.shape[0] * sample.shape[2:].numel()
        graph = None
        if self._use is not None and len(kept) == 2 * len(self._attentions) and latents <= MOST_LATENTS:
            graph = self._graph(inputs, kept, list(added_cond_kwargs))
        if graph is None:
            return self._plain(sample, timestep, encoder_hidden_states, added_cond_kwargs=added_cond_kwargs)
        _copy(inputs, graph.inputs)
        if graph.text is not self._attentions[0].kept:  # once for a batch, not at every step
            _copy(kept, graph.kept)
            graph.text = self._attentions[0].kept
        graph.replay()
        cast(Use, self._use).ran = True
        return graph.output.clone()

    def _graph(self, inputs: list[Tensor], kept: list[Tensor], names: list[str]) -> _Graph | None:
        """The one for these shapes, captured now if there is none yet; None where there can't be one."""
        shapes = tuple((it.shape, it.dtype) for it in [*inputs, *kept])
        key = Key(shapes, (self._ends[0].data_ptr(), self._ends[1].data_ptr()))
        self._graphs = {known: graph for known, graph in self._graphs.items() if known.weights == key.weights}
        if key not in self._graphs:
            if len(self._graphs) == GRAPHS:
                return None
            self._graphs[key] = self._captured(inputs, kept, names)
        return self._graphs[key]

    def _captured(self, inputs: list[Tensor], kept: list[Tensor], names: list[str]) -> _Graph | None:
        places = [it.clone() for it in inputs]
        kept_places = [it.clone() for it in kept]
        sample, timestep, states, *added = places
        its = dict(zip(names, added, strict=True))
        work = partial(self._plain, sample, timestep, states, added_cond_kwargs=its)
        try:
            with self._keeping(kept_places), _current(sample.device):
                replay, output = self._capture(work)
        except RuntimeError as error:
            words = "out of memory" if memory.is_out_of_memory(error) else str(error).splitlines()[0]
            log.warning("no CUDA graph could be captured (%s): going on without it", words)
        else:
            return _Graph(replay, places, kept_places, output)
        memory.release()  # here, where the exception and its frames hold no tensors any more
        return None

    @contextmanager
    def _keeping(self, kept: list[Tensor]) -> Iterator[None]:
        """Has the attentions use these keys and values inside."""
        before = [attention.kept for attention in self._attentions]
        for attention, key, value in zip(self._attentions, kept[::2], kept[1::2], strict=True):
            attention.kept = (key, value)
        try:
            yield
        finally:
            for attention, its in zip(self._attentions, before, strict=True):
                attention.kept = its


def _current(device: torch.device) -> AbstractContextManager[Any]:
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _copy(given: list[Tensor], places: list[Tensor]) -> None:
    for tensor, place in zip(given, places, strict=True):
        place.copy_(tensor)


def _by_cuda(work: Callable[[], Tensor]) -> tuple[Replay, Tensor]:
    """On the current device. torch leaves its own stream the current one where a capture breaks off."""
    before = torch.cuda.current_stream()
    try:
        return _captured_by_cuda(work)
    finally:
        torch.cuda.set_stream(before)


def _captured_by_cuda(work: Callable[[], Tensor]) -> tuple[Replay, Tensor]:
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UPS):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = work()
    return graph.replay, output
