"""The device that pictures are painted on: which one, in what number format, and how it is named afterwards."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import torch

from renderer.kolors.card import Precision
from renderer.take import Provenance

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp8": torch.bfloat16,
}
"""What a picture is computed in; in fp8 that is what goes into layers of 8 bits, comes out, and all others are in."""
PACKAGES = {"renderer": "kolors-storyboard", "torch": "torch", "diffsynth": "diffsynth", "diffusers": "diffusers"}


def choose_device(name: str | None = None) -> torch.device:
    """The device of that name; without one CUDA, else Apple's GPU (where this is untested), else the CPU.

    CUDA's always with its number: some of torch's functions want it.
    """
    device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    if name is not None:
        return device
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def choose_precision(device: torch.device, asked: Precision | None) -> Precision:
    """What is authored, else fp16 on a GPU (Kolors' weights are made for it) and fp32 on the CPU."""
    return asked or ("fp32" if device.type == "cpu" else "fp16")


def wide(precision: Precision) -> Precision:
    """The format of all that isn't rounded to 8 bits: texts, and the UNet without its rounded layers."""
    return "bf16" if precision == "fp8" else precision


def vae_dtype(device: torch.device, precision: Precision) -> torch.dtype:
    """SDXL's autoencoder overflows in fp16: fp32, or bf16 (which has fp32's range) where that is what is painted in."""
    return torch.bfloat16 if device.type == "cuda" and DTYPES[precision] == torch.bfloat16 else torch.float32


@contextmanager
def exact_kernels(precision: Precision, strict: bool) -> Iterator[None]:
    """cuDNN as asked for: one fixed algorithm in strict mode, and no TF32 where fp32 is authored; then as before."""
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=strict, allow_tf32=precision != "fp32"
    ):
        yield


def provenance(
    device: torch.device, precision: Precision, batch: int, seconds: float, compiled: bool = False
) -> Provenance:
    """How a picture was painted: `seconds` is its share, `batch` the number of pictures denoised together."""
    return Provenance(
        device=device_name(device),
        dtype=precision,
        batch=batch,
        seconds=round(seconds, 3),
        machine=_machine(),
        painted_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=dict(_versions()),
        compiled=compiled,
    )


def device_name(device: torch.device) -> str:
    """What the device calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.processor() or platform.machine()})"


@cache
def _machine() -> str:
    """Twelve hex digits that tell machines apart; the name itself can't be read from them."""
    return hashlib.sha256(f"{platform.node()} {platform.machine()}".encode()).hexdigest()[:12]


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = []
    for name, package in PACKAGES.items():
        try:
            found.append((name, version(package)))
        except PackageNotFoundError:
            found.append((name, "not installed"))
    return tuple(found)
