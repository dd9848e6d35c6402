"""DiffSynth's UNet, VAE and DDIM classes, taken from their files without importing the `diffsynth` package.

The package's `__init__` imports pandas, transformers and torch's compiler: three seconds that none of these three
files need, which import torch alone.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from renderer.errors import ModelError


def unet_class() -> Any:  # noqa: ANN401
    """`SDXLUNet2DConditionModel`: an SDXL-shaped UNet with diffusers' parameter names, driven by its configuration."""
    return _module("models/stable_diffusion_xl_unet.py").SDXLUNet2DConditionModel


def vae_class() -> Any:  # noqa: ANN401
    """`StableDiffusionVAE`: the SD/SDXL autoencoder with diffusers' parameter names, driven by its configuration."""
    return _module("models/stable_diffusion_vae.py").StableDiffusionVAE


def ddim_class() -> Any:  # noqa: ANN401
    """`DDIMScheduler`: DDIM over linearly spaced timesteps that end at 0, with a final ᾱ of 1."""
    return _module("diffusion/ddim_scheduler.py").DDIMScheduler


@cache
def _module(relative: str) -> ModuleType:
    package = importlib.util.find_spec("diffsynth")
    folders = list(package.submodule_search_locations or ()) if package else []
    file = next((Path(folder) / relative for folder in folders if (Path(folder) / relative).is_file()), None)
    if file is None:
        raise ModelError(f"This needs diffsynth 2.1 (its file {relative} is not there). Run: pip install diffsynth")
    name = f"{__name__}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
