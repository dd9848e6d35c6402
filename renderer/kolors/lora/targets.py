"""The spellings in which LoRA files are written, and what those files end in. Needs no torch.

`diffusers`: keys as peft's, which diffusers and peft read; the scale is baked into the up halves, because programs that
ignore the header (ComfyUI) take alpha = rank. `kohya`: SDXL's original names, each layer with its `.alpha`.
`diffsynth1`: the flat `.ckpt` of DiffSynth 1.x, which says nothing of the scale, so that is baked in too.
"""

from __future__ import annotations

from typing import Literal

Target = Literal["kohya", "diffusers", "diffsynth1"]
TARGETS: tuple[Target, ...] = ("kohya", "diffusers", "diffsynth1")
ENDING: dict[Target, str] = {"kohya": ".safetensors", "diffusers": ".safetensors", "diffsynth1": ".ckpt"}
