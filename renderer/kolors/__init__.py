"""Kolors: a text-to-image diffusion model with an SDXL-shaped UNet and a ChatGLM3 text encoder.

Importing this package, `card` or `lora_file` doesn't import torch; the other modules do.
"""
