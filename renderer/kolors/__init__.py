"""Kolors: a text-to-image diffusion model with an SDXL-shaped UNet and a ChatGLM3 text encoder.

Importing this package, `card`, `layout`, `text`, `lora_file` or `download` doesn't import torch; the other modules do.
"""

import os

# Threads of torch's CPU kernels wait asleep for each other instead of spinning. Spinning may gain a little on an idle
# machine; on a busy one it makes painting several times slower (two cores under load 4: 27 s against 3.7 s for eight
# pictures of 96x96).
# OpenMP reads this when torch is first imported; a value that is set already stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
