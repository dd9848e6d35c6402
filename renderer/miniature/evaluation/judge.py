"""The judge: a small classifier that tells from a picture's pixels alone which attributes it shows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from renderer.miniature.evaluation.attributes import ATTRIBUTES

Bytes = npt.NDArray[np.uint8]

SIZE = 128
"""The side of the pictures that a judge looks at; others are resized."""

_CHANNELS = (32, 64, 128, 192)
_CHOICES = [len(values) for values in ATTRIBUTES.values()]


class Judge(nn.Module):
    """A residual network; each attribute has a gaze of its own over the last map, and a linear layer that decides."""

    def __init__(self, size: int = SIZE) -> None:
        super().__init__()
        self.size = size
        stem, *wider = _CHANNELS
        blocks: list[nn.Module] = [_Block(stem, stem, 1)]
        for before, after in zip(_CHANNELS, wider, strict=False):
            blocks += [_Block(before, after, 2), _Block(after, after, 1)]
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
        self.blocks = nn.Sequential(*blocks)
        self.gaze = nn.Conv2d(_CHANNELS[-1], len(_CHOICES), 1)
        self.heads = nn.ModuleList(nn.Linear(2 * _CHANNELS[-1], choices) for choices in _CHOICES)

    def maps(self, pictures: torch.Tensor) -> torch.Tensor:
        """[N, 192, H/16, W/16] of pictures [N, 3, H, W] in -1 … 1."""
        maps: torch.Tensor = self.blocks(self.stem(pictures.contiguous(memory_format=torch.channels_last)))
        return maps

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The logits of every attribute, in the order of ATTRIBUTES."""
        maps = self.maps(pictures)
        flat = maps.flatten(2)
        weights = self.gaze(maps).flatten(2).float().softmax(2).to(maps.dtype)
        looked = torch.einsum("nal,ncl->anc", weights, flat)
        everywhere = flat.mean(2)
        return tuple(
            head(torch.cat([each, everywhere], dim=1)).float() for head, each in zip(self.heads, looked, strict=True)
        )

    @property
    def device(self) -> torch.device:
        """Where the judge is."""
        device: torch.device = self.gaze.weight.device
        return device


class _Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after))
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.AvgPool2d(stride), nn.Conv2d(before, after, 1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.second(self.first(x)) + self.shortcut(x))


@torch.no_grad()
def judge_pictures(judge: Judge, pictures: Bytes) -> list[dict[str, str]]:
    """The value of every attribute that the judge sees in each picture [N, H, W, 3], asked for or not."""
    judged: list[dict[str, str]] = []
    for x in _inputs(judge, pictures):
        chosen = [logits.argmax(1).tolist() for logits in judge(x)]
        judged += [_named(indices) for indices in zip(*chosen, strict=True)]
    return judged


@torch.no_grad()
def features_of(judge: Judge, pictures: Bytes) -> torch.Tensor:
    """[N, 192] of pictures [N, H, W, 3], on the CPU: the mean of the judge's last map."""
    return torch.cat([judge.maps(x).mean((2, 3)).cpu() for x in _inputs(judge, pictures)])


def to_tensor(pictures: Bytes) -> torch.Tensor:
    """[N, 3, H, W] in -1 … 1."""
    pixels: torch.Tensor = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
    return pixels.div_(127.5).sub_(1)


def _inputs(judge: Judge, pictures: Bytes, batch: int = 64) -> Iterator[torch.Tensor]:
    """[≤ batch, 3, size, size] on the judge's device, of the size that it looks at."""
    for i in range(0, len(pictures), batch):
        x = to_tensor(pictures[i : i + batch]).to(judge.device)
        if x.shape[-2:] != (judge.size, judge.size):
            x = functional.interpolate(x, (judge.size, judge.size), mode="bilinear", antialias=True)
        yield x


def _named(indices: tuple[int, ...]) -> dict[str, str]:
    return {name: values[index] for (name, values), index in zip(ATTRIBUTES.items(), indices, strict=True)}
