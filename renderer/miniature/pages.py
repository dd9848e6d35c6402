"""Pages of pictures to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image


def contact_page(pictures: Sequence[npt.NDArray[np.uint8]], columns: int, scale: int = 2) -> Image.Image:
    """Pictures of one size in rows, enlarged without smoothing; what the last row lacks stays white."""
    shown = list(pictures)
    shown += [np.full_like(shown[0], 255)] * (-len(shown) % columns)
    rows = [np.concatenate(shown[i : i + columns], axis=1) for i in range(0, len(shown), columns)]
    page = Image.fromarray(np.concatenate(rows, axis=0))
    return page.resize((page.width * scale, page.height * scale), Image.Resampling.NEAREST)
