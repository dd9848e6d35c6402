"""A UNet whose weights lie in the computer's memory: each part is copied to the device when its turn comes.

A part's weights lie in one block each, of which its tensors are views. On the device there are as many slots as parts
may be there at a time; while one part is at work, the one that followed it the last time is copied into the other slot,
on a stream of its own. Nothing waits on the processor, and the numbers are those of a UNet that is on the device: the
same kernels see the same values in the same layout.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from renderer.kolors.fitting.blocks import Part, tensors_of
from renderer.kolors.fitting.needs import SLOTS
from renderer.kolors.fitting.sizes import part_of

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Slot:
    """Room on the device for one part. `copied` and `used`: when its weights are there, when they were last needed;
    `turn` counts uses of all slots.
    """

    block: Tensor
    part: Part | None = None
    busy: bool = False
    turn: int = 0
    copied: torch.cuda.Event | None = None
    used: torch.cuda.Event | None = None
    views: dict[Part, list[Tensor]] = field(default_factory=dict)


class StreamedUNet:
    """Streams a UNet's parts to a device; all other weights go there and stay.

    Weights may be changed in place while no part is at work; `forget` comes after that.
    """

    def __init__(self, unet: nn.Module, device: torch.device) -> None:
        """`unet` is on the CPU, and is used only through this from now on: its forward, or its blocks' own."""
        self._device = device
        self._side: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        modules = dict(unet.named_modules())
        own = {name: part_of(f"{name}.weight") for name in modules}
        for name in (name for name, part in own.items() if part is None):
            for tensor, put in tensors_of([modules[name]]):
                put(tensor.to(device))
        names = list(dict.fromkeys(part for part in own.values() if part is not None))
        self._parts = {
            it: Part([modules[name] for name, part in own.items() if part == it], self._side is not None)
            for it in names
        }
        if self._side is not None and not all(part.block.is_pinned() for part in self._parts.values()):
            log.warning("not all weights could be pinned in the computer's memory: streaming them takes longer")
        largest = max((len(part.block) for part in self._parts.values()), default=0)
        self._slots = [_Slot(torch.empty(largest, dtype=torch.uint8, device=device)) for _ in range(SLOTS)]
        if self._side is not None:  # the slots were allocated on the other stream
            self._side.wait_stream(torch.cuda.current_stream(device))
        self._turns = itertools.count(1)
        self._following: dict[Part, Part] = {}
        self._last: Part | None = None
        self._handles = [handle for name, part in self._parts.items() for handle in self._hooked(modules[name], part)]

    @property
    def slot_bytes(self) -> int:
        """What the parts take of the device, all the time."""
        return sum(len(slot.block) for slot in self._slots)

    @property
    def host_bytes(self) -> int:
        """What the parts take of the computer's memory, where pinned blocks are rounded up to powers of two."""
        sizes = (part.block for part in self._parts.values())
        return sum(1 << (len(it) - 1).bit_length() if it.is_pinned() else len(it) for it in sizes)

    def forget(self) -> None:
        """Sends every part home, and copies it anew when its turn comes."""
        self._finish()
        for part in self._parts.values():
            part.lie(part.views)
        for slot in self._slots:
            slot.part, slot.busy = None, False

    def close(self) -> None:
        """Leaves the UNet without hooks, its parts in the computer's memory; the slots are given back."""
        self.forget()
        for handle in self._handles:
            handle.remove()
        self._slots.clear()

    def _hooked(self, module: nn.Module, part: Part) -> Iterator[RemovableHandle]:
        yield module.register_forward_pre_hook(partial(self._begin, part))
        # Also where the module ran out of memory: what is tried after that finds the slots free.
        yield module.register_forward_hook(partial(self._end, part), always_call=True)

    def _begin(self, part: Part, module: nn.Module, arguments: object) -> None:
        slot = self._slot_of(part) or self._copied(part)
        assert slot is not None, "parts are inside of each other, more than there are slots"
        slot.busy = True
        if slot.copied is not None:
            torch.cuda.current_stream(self._device).wait_event(slot.copied)
        if part not in slot.views:
            slot.views[part] = part.views_of(slot.block)
        part.lie(slot.views[part])
        if self._last is not None:
            self._following[self._last] = part
        self._last = part
        coming = self._following.get(part)
        if coming is not None and self._slot_of(coming) is None:
            self._copied(coming)

    def _end(self, part: Part, module: nn.Module, arguments: object, result: object) -> None:
        slot = self._slot_of(part)
        if slot is None or not slot.busy:
            return
        if self._side is not None:
            slot.used = torch.cuda.current_stream(self._device).record_event()
        part.lie(part.views)
        slot.busy, slot.turn = False, next(self._turns)

    def _slot_of(self, part: Part) -> _Slot | None:
        return next((slot for slot in self._slots if slot.part is part), None)

    def _copied(self, part: Part) -> _Slot | None:
        """The slot that the part is on its way into, that whose part was used longest ago: copying waits for that use.
        None where all are at work.
        """
        slot = min((slot for slot in self._slots if not slot.busy), key=lambda slot: slot.turn, default=None)
        if slot is None:
            return None
        slot.part = part
        target = slot.block[: len(part.block)]
        if self._side is None:
            target.copy_(part.block)
            return slot
        if slot.used is not None:
            self._side.wait_event(slot.used)
        with torch.cuda.stream(self._side):
            target.copy_(part.block, non_blocking=True)
            slot.copied = self._side.record_event()
        return slot

    def _finish(self) -> None:
        if self._side is not None:
            self._side.synchronize()
            torch.cuda.current_stream(self._device).synchronize()
