"""The judge's training, from nothing, on drawings: some minutes, after which the judge is kept in the work folder."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from renderer.miniature.dataset import code_digest
from renderer.miniature.evaluation.judge import SIZE, Judge, to_tensor
from renderer.miniature.evaluation.lessons import Lesson, draw_lesson
from renderer.miniature.evaluation.softening import soften

logger = logging.getLogger(__name__)

_PEAK = 3e-3
_MEAN_DECAY = 0.995
_BATCH = 48


@dataclass(frozen=True)
class Schooling:
    """How a judge is trained: on so many drawings, first on so many `glances` at half size, then at whole size.

    At half size a picture takes a quarter of the time, and most of what there is to tell is learned there.
    """

    drawings: int = 30_000
    glances: int = 120_000
    looks: int = 60_000
    size: int = SIZE
    seed: int = 0

    @property
    def steps(self) -> int:
        """Of the optimizer, those at half size first."""
        return self.coarse_steps + self.looks // _BATCH

    @property
    def coarse_steps(self) -> int:
        """Those at half size."""
        return self.glances // _BATCH


def judge_once(folder: Path, schooling: Schooling, processes: int, device: torch.device) -> Judge:
    """The judge of an earlier call with the same schooling and the same book, else a newly trained one."""
    file = folder / f"judge-{schooling.size}.safetensors"
    wanted = json.dumps({"code": code_digest()} | asdict(schooling))
    if file.exists() and _schooling_of(file) == wanted:
        judge = Judge(schooling.size)
        judge.load_state_dict(load_file(file))
        return judge.eval().to(device)
    judge = train_judge(schooling, processes, device)
    folder.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    save_file({name: value.contiguous() for name, value in judge.state_dict().items()}, partial, {"schooling": wanted})
    partial.replace(file)
    return judge


def train_judge(schooling: Schooling, processes: int, device: torch.device) -> Judge:
    """A judge in evaluation mode, the running mean of its training; the same seed and machine give the same one.

    So many processes draw what it learns from.
    """
    lesson = draw_lesson(schooling.seed, schooling.drawings, schooling.size, processes)
    logger.info("judge: %d pictures drawn", schooling.drawings)
    judge = _fresh(schooling).to(device).to(memory_format=torch.channels_last)
    mean = _averaged(judge)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=_PEAK, betas=(0.9, 0.99), weight_decay=0.02)
    generator = torch.Generator().manual_seed(schooling.seed)
    for step, chosen in zip(range(schooling.steps), _batches(schooling.drawings, generator), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = _PEAK * _share_of_peak(step, schooling.steps)
        part = Lesson(lesson.pictures[chosen], lesson.labels[chosen])
        loss = _learn(judge, optimizer, part, generator, coarse=step < schooling.coarse_steps)
        mean.update_parameters(judge)
        if (step + 1) % 100 == 0:
            logger.info("judge: step %d of %d, loss %.3f", step + 1, schooling.steps, loss)
    trained: nn.Module = mean.module
    assert isinstance(trained, Judge)
    return trained.eval()


def masked_loss(logits: tuple[torch.Tensor, ...], labels: torch.Tensor) -> torch.Tensor:
    """The sum of each attribute's mean cross entropy over the pictures that show it; labels of -1 don't count."""
    losses = []
    for index, each in enumerate(logits):
        known = labels[:, index]
        total = functional.cross_entropy(each, known, ignore_index=-1, reduction="sum", label_smoothing=0.02)
        losses.append(total / (known >= 0).sum().clamp(min=1))
    return torch.stack(losses).sum()


def _learn(
    judge: Judge, optimizer: torch.optim.Optimizer, lesson: Lesson, generator: torch.Generator, coarse: bool
) -> float:
    x = to_tensor(lesson.pictures).to(judge.device)
    x = soften(functional.avg_pool2d(x, 2) if coarse else x, generator)
    with torch.autocast(judge.device.type, torch.bfloat16):
        logits = judge(x)
    loss = masked_loss(logits, torch.from_numpy(lesson.labels).to(judge.device))
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(judge.parameters(), 5.0)
    optimizer.step()
    return float(loss.detach())


def _batches(count: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Indices without end, shuffled anew each time through; a lesson smaller than a batch is one batch."""
    batch = min(_BATCH, count)
    while True:
        order = torch.randperm(count, generator=generator)
        yield from (order[i : i + batch].tolist() for i in range(0, count - batch + 1, batch))


def _fresh(schooling: Schooling) -> Judge:
    with torch.random.fork_rng():
        torch.manual_seed(schooling.seed)
        return Judge(schooling.size).train()


def _averaged(judge: Judge) -> AveragedModel:
    """Short at first, so that the mean forgets the random start."""

    def mean_of(mean: torch.Tensor, value: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
        decay = min(_MEAN_DECAY, (1 + int(count)) / (10 + int(count)))
        return mean + (1 - decay) * (value - mean)

    return AveragedModel(judge, avg_fn=mean_of, use_buffers=True)


def _share_of_peak(step: int, steps: int) -> float:
    """A linear warmup over a twentieth of the steps, then a cosine to zero."""
    warmup = max(1, steps // 20)
    return min(1.0, (step + 1) / warmup) * (0.5 + 0.5 * math.cos(math.pi * step / steps))


def _schooling_of(file: Path) -> str:
    with safe_open(file, "pt") as opened:
        found: dict[str, str] = opened.metadata() or {}
    return found.get("schooling", "")
