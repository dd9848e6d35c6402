"""The model at work: the UNet with what is added to it and the VAE, loaded on one device in one precision at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from renderer.errors import ModelError
from renderer.kolors import memory
from renderer.kolors.attention import fuse_projections
from renderer.kolors.card import Precision
from renderer.kolors.device import DTYPES, vae_dtype
from renderer.kolors.embeddings import check_embedding
from renderer.kolors.fitting.offload import StreamedUNet
from renderer.kolors.hypernetwork_layers import HypernetworkStack
from renderer.kolors.hypernetworks import check_hypernetwork
from renderer.kolors.kernels.compiled import CompiledUNet, Use
from renderer.kolors.kernels.cuda_graphs import GraphedUNet
from renderer.kolors.kernels.multiplying import quicken
from renderer.kolors.kernels.packing import pack_convolutions
from renderer.kolors.lora.file import Shape, unet_shapes
from renderer.kolors.lora.layers import check_lora
from renderer.kolors.lora.merging import MergedUNet
from renderer.kolors.tiles import decode_in_tiles
from renderer.kolors.weights import Denoiser, load_denoiser, load_vae
from renderer.take import Take, TakeHypernetwork, TakeLora

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Studio:
    """Loads what the next picture needs, and keeps it until something else is needed."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.folder = folder
        self.device = device
        self.precision: Precision | None = None
        self._denoiser: Denoiser | None = None
        self._merged: MergedUNet | None = None
        self._hypernetworks: HypernetworkStack | None = None
        self._vae: nn.Module | None = None
        self._streaming: StreamedUNet | None = None
        self._is_away = False
        self._prepared: object = None
        self._compiled: CompiledUNet | None = None
        self._graphed: GraphedUNet | None = None

    @property
    def denoiser(self) -> Denoiser:
        """The UNet as it was last prepared."""
        assert self._denoiser is not None, "prepare() comes first"
        return self._denoiser

    @property
    def resident(self) -> int:
        """Bytes that the weights take of the device now."""
        unet = self._denoiser.unet if self._denoiser else None
        modules = [module for module in (self._vae, unet) if module is not None]
        weights = (it for module in modules for it in module.parameters() if it.device.type == self.device.type)
        slots = self._streaming.slot_bytes if self._streaming else 0
        return sum(it.nbytes for it in weights) + slots

    @property
    def hosted(self) -> int:
        """Bytes that a UNet which is streamed takes of the computer's memory now."""
        return self._streaming.host_bytes if self._streaming else 0

    def check(self, takes: Iterable[Take]) -> None:
        """Raises LoraError, EmbeddingError or HypernetworkError where a take's file can't be used with this model."""
        takes = tuple(takes)
        for lora in dict.fromkeys(it for take in takes for it in take.loras):
            check_lora(lora, self._shapes())
        for embedding in dict.fromkeys(it for take in takes for it in take.embeddings):
            check_embedding(embedding, self.folder)
        for hypernetwork in dict.fromkeys(it for take in takes for it in take.hypernetworks):
            check_hypernetwork(hypernetwork, self.folder)

    def prepare(
        self,
        precision: Precision,
        loras: tuple[TakeLora, ...] = (),
        hypernetworks: tuple[TakeHypernetwork, ...] = (),
        done: Callable[[int, int], None] = lambda done, total: None,
        streamed: bool = False,
    ) -> None:
        """Loads UNet and VAE in this precision, unless they are there; merges the LoRAs into the UNet, and has its
        attentions use the hypernetworks. A `streamed` UNet lies in the computer's memory.

        `done` hears how many of the two are loaded. Raises ModelError, LoraError, HypernetworkError. Asked for the same
        again, it does nothing.
        """
        asked = (precision, loras, hypernetworks, streamed)
        if asked == self._prepared:
            return
        self._prepared = None
        with self._fitting():
            if self.precision != precision or streamed != (self._streaming is not None):
                self._load(precision, done, streamed)
            assert self._merged is not None and self._hypernetworks is not None
            self._merged.use(loras)
            self._hypernetworks.use(hypernetworks)
            if self._streaming is not None:
                self._streaming.forget()
        self._prepared = asked

    def _load(self, precision: Precision, done: Callable[[int, int], None], streamed: bool) -> None:
        self.release()
        if self.device.type == "cpu":
            memory.keep_freed_memory()
        done(0, 2)
        self._denoiser = self._open_denoiser(precision, torch.device("cpu") if streamed else self.device)
        fuse_projections(self._denoiser.unet)
        quicken(self._denoiser.unet)
        self._merged = MergedUNet(self._denoiser.unet, self._shapes(), self.folder, self.device)
        if streamed:
            self._stream()
        else:
            pack_convolutions(self._denoiser.unet)
        self._hypernetworks = HypernetworkStack(self._denoiser.unet, self.folder)
        done(1, 2)
        self._vae = self._open_vae(vae_dtype(self.device, precision))
        pack_convolutions(self._vae)
        self.precision = precision
        done(2, 2)

    def _open_denoiser(self, precision: Precision, device: torch.device) -> Denoiser:
        return load_denoiser(self.folder, device, DTYPES[precision], float8=precision == "fp8")

    def _open_vae(self, dtype: torch.dtype) -> nn.Module:
        return load_vae(self.folder, self.device, dtype)

    def _shapes(self) -> dict[str, Shape]:
        """Those of the UNet's weights, by which LoRAs are checked."""
        return unet_shapes(self.folder)

    def _stream(self) -> None:
        """Has the UNet, which is on the CPU, streamed to the device."""
        self.denoiser.text_projection.to(self.device)
        self._streaming = StreamedUNet(self.denoiser.unet, self.device)

    @contextmanager
    def compiling(self, on: bool, roomy: bool = True) -> Iterator[Use]:
        """Has the UNet go through compiled code inside, if `on` and if that can be had. A streamed UNet can't.

        On CUDA calls of few latents are captured as graphs besides, where it is `roomy`: they keep working memory.
        """
        if on and self._compiled is None and self._streaming is None:
            self._compiled = CompiledUNet(self.denoiser.unet)
            self._graphed = GraphedUNet(self.denoiser.unet) if self.device.type == "cuda" else None
        with self._compiled.switched(on) if self._compiled else nullcontext(Use()) as use:
            if self._graphed and not roomy:
                self._graphed.forget()
            with self._graphed.switched(use if on and roomy else None) if self._graphed else nullcontext():
                yield use

    def release(self) -> None:
        """Gives the memory of all weights back."""
        if self._streaming is not None:
            self._streaming.close()
            self._streaming = None
        self._denoiser, self._merged, self._hypernetworks, self._vae, self.precision = None, None, None, None, None
        self._compiled, self._graphed, self._prepared = None, None, None
        memory.release(self.device)

    def with_room(self, work: Callable[[], Result]) -> Result:
        """The result of `work`; where memory runs out, these weights are released and it is tried again.

        Raises ModelError where it runs out nevertheless.
        """
        if (found := memory.attempted(work, self.device)) is not None:
            return found
        self.release()
        with self._fitting():
            return work()

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        """Turns running out of memory while weights are loaded into ModelError; what is half loaded is released."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not memory.is_out_of_memory(error):
                raise
            self.release()
            raise ModelError(
                f"{self.folder}: the weights don't fit into the memory of {self.device}. "
                "Close other programs that use it, or choose a smaller model or `precision: fp16`."
            ) from error

    @contextmanager
    def unet_away(self) -> Iterator[None]:
        """Has the UNet wait in the computer's memory until the block ends; a streamed one is there already.

        Where another program has taken its place meanwhile, all weights are released: `prepare` loads them anew.
        """
        if self._is_away or self._streaming is not None:
            yield
            return
        unet, self._is_away = self.denoiser.unet, True
        if self._graphed:
            self._graphed.forget()
        try:
            unet.to("cpu")
            memory.release(self.device)
            yield
        finally:
            if memory.attempted(lambda: unet.to(self.device), self.device) is None:
                log.warning("the UNet's place on %s was taken meanwhile: it is loaded anew", self.device)
                self.release()
            self._is_away = False

    def decode(self, latents: Tensor, strict: bool = False, tiled: bool = False) -> NDArray[np.uint8]:
        """uint8 [height, width, 3] from latents [4, height/8, width/8], decoded in one piece or `tiled`.

        Where memory runs out, the UNet waits in the computer's memory: it takes more than decoding does. Where that
        doesn't suffice, the picture is decoded tile by tile, but not if `strict`: its numbers would depend on the
        memory. Raises FloatingPointError where latents or picture are not finite, torch.OutOfMemoryError or its kin.
        """
        vae = self._vae
        assert vae is not None, "prepare() comes first"
        decode = cast(Callable[[Tensor], Tensor], vae.decode)
        in_tiles = partial(self._decode, latents, partial(decode_in_tiles, decode))
        first = in_tiles if tiled else partial(self._decode, latents, decode)
        if (found := memory.attempted(first, self.device)) is not None:
            return found
        with self.unet_away():
            if strict or tiled:
                return first()
            if (found := memory.attempted(first, self.device)) is not None:
                return found
            log.warning("out of memory while decoding: going on in tiles, which differ a little from the whole")
            return in_tiles()

    @torch.inference_mode()
    def _decode(self, latents: Tensor, decoded: Callable[[Tensor], Tensor]) -> NDArray[np.uint8]:
        vae = self._vae
        assert vae is not None, "prepare() comes first"
        if not torch.isfinite(latents).all():
            raise FloatingPointError("the numbers went out of range while denoising (NaN or infinity)")
        dtype = next(vae.parameters()).dtype
        scaled = (latents.unsqueeze(0) / cast(float, vae.scaling_factor)).to(dtype)
        picture = decoded(scaled)[0].float()
        if not torch.isfinite(picture).all():
            raise FloatingPointError("the numbers went out of range while decoding (NaN or infinity)")
        return (picture.clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
