"""Kolors: a text-to-image diffusion model with an SDXL-shaped UNet and a ChatGLM3 text encoder.

Importing this package, `card`, `layout`, `text`, `lora_file` or `download` doesn't import torch; the other modules do.
"""

import os

# Threads of torch's CPU kernels that wait for each other spin for a moment, then sleep. Spinning for long makes
# painting several times slower on a busy machine (two cores under load 4: 27 s against 3.7 s for eight pictures of
# 96x96). Sleeping at once does so on an idle one: 0.93 s against 0.48 s for a picture of 128x128 alone, 0.41 s against
# 0.26 s in a batch of four. OpenMP reads this when torch is first imported; a policy that is set already stays.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
