"""One step of a training, as a Lightning module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import count
from math import inf
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from renderer.errors import TrainingError
from renderer.kolors.weights import Denoiser
from renderer.trainer.kinds.kind import Kind
from renderer.trainer.learning.average import Average
from renderer.trainer.learning.chance import Lot, seeded
from renderer.trainer.learning.draws import Draw, Draws
from renderer.trainer.learning.objective import add_noise, errors, min_snr_weights
from renderer.trainer.learning.optimizers import make_optimizer
from renderer.trainer.learning.recomputing import recompute
from renderer.trainer.learning.schedules import learning_rate
from renderer.trainer.learning.states import States
from renderer.trainer.recipe import Recipe


class NotFinite(TrainingError):
    """A loss or a gradient is no number any more. What is trained is as it was after the last good step."""


class TrainingModule(lightning.LightningModule):
    """Trains what a kind adds to the UNet.

    A batch, to Lightning, is the number of a step: all that is drawn for the step follows from it. Checkpoints hold
    what is trained and its average, not the frozen model.
    """

    loss: Tensor
    """The loss of the last step, on the device."""

    def __init__(self, recipe: Recipe, denoiser: Denoiser, kind: Kind, draws: Draws, states: States) -> None:
        super().__init__()
        # A step computes all its batches; Lightning's own loop would count batches, and stop between them.
        self.automatic_optimization = False
        self.strict_loading = False
        self.unet, self.projection, self.kind = denoiser.unet, denoiser.text_projection, kind
        self.recipe, self._draws, self._states = recipe, draws, states
        self._trained = kind.trained()
        self.average = Average(self._trained, recipe.train.ema) if recipe.train.ema else None
        if recipe.train.gradient_checkpointing:
            recompute(self.unet)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The recipe's optimizer over what is trained."""
        return make_optimizer(self.recipe.train, self._trained.values(), self.device)

    def train_dataloader(self) -> Iterable[int]:
        """The numbers of the steps ahead, without an end.

        Lightning counts a list's batches from its beginning, not from where a checkpoint left off.
        """
        return count(self.trainer.global_step)

    def training_step(self, step: int, _: int) -> None:
        """One step, counted from 0: the gradient of all its batches, clipped, and the optimizer.

        Raises NotFinite before anything has changed.
        """
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe.train, step)
        optimizer.zero_grad()
        self.loss = self._differentiate(step)
        optimizer.step()
        if self.average is not None:
            self.average.follow(step)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clips the gradient, which is unscaled by now. Raises NotFinite where it is no number."""
        norm = nn.utils.clip_grad_norm_(self._trained.values(), self.recipe.train.clip or inf)
        # In fp16 an overflow is how the scaler finds its scale: it leaves such a step out.
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        if not scaled and not torch.isfinite(norm):
            step = self.trainer.global_step
            batches = self._draws.step(step, self.global_rank)
            raise NotFinite(_words(step, "gradient", [draw for batch in batches for draw in batch.draws]))

    def _differentiate(self, step: int) -> Tensor:
        """The loss of a step, whose gradient is then in the parameters; on this process alone."""
        total = torch.zeros((), device=self.device)
        with seeded(Lot(self.recipe.train.seed, f"process {self.global_rank}", step), self.device):
            for batch in self._draws.step(step, self.global_rank):
                each = self.losses(batch.draws)
                bad = [
                    draw for draw, finite in zip(batch.draws, torch.isfinite(each).tolist(), strict=True) if not finite
                ]
                if bad:
                    raise NotFinite(_words(step, "loss", bad))
                loss = each.mean() * batch.weight
                self.manual_backward(loss)
                total += loss.detach()
        return total

    def losses(self, draws: Sequence[Draw]) -> Tensor:
        """What each draw counts [batch]: its error, weighted as the recipe asks."""
        train = self.recipe.train
        each = self.errors(draws, train.noise_offset)
        if train.min_snr is None:
            return each
        timesteps = torch.tensor([draw.timestep for draw in draws], device=self.device)
        return each * min_snr_weights(timesteps, train.min_snr)

    def errors(self, draws: Sequence[Draw], noise_offset: float = 0.0) -> Tensor:
        """The mean squared error of the noise predicted for each draw [batch]; all of one size."""
        latents = self._stack(self._states.latents(draw.sample, draw.view) for draw in draws)
        noise = self._stack(draw.noise(noise_offset) for draw in draws)
        timesteps = torch.tensor([draw.timestep for draw in draws], device=self.device)
        read = self.kind.read if self.kind.reads else self._states.text
        texts = [read(draw.text) for draw in draws]
        time_ids = torch.tensor([draw.view.time_ids for draw in draws], dtype=torch.float32, device=self.device)
        predicted = self.unet(
            add_noise(latents, noise, timesteps),
            timesteps,
            encoder_hidden_states=self.projection(self._stack(text.states for text in texts)),
            added_cond_kwargs={"text_embeds": self._stack(text.pooled for text in texts), "time_ids": time_ids},
        )
        return errors(predicted, noise)

    @torch.no_grad()
    def examine(self, batches: Sequence[Sequence[Draw]]) -> float:
        """The mean error over these draws with the values that are exported, over all processes. Changes nothing."""
        own = batches[self.global_rank :: self.trainer.world_size]
        self.kind.eval()
        with self.exported(), self.trainer.precision_plugin.forward_context():
            measured = [self.errors(draws).sum() for draws in own]
        self.kind.train()
        total = torch.stack([torch.zeros((), device=self.device), *measured]).sum()
        total = cast(Tensor, self.trainer.strategy.reduce(total, reduce_op="sum"))
        return float(total) / sum(len(draws) for draws in batches)

    @contextmanager
    def exported(self) -> Iterator[None]:
        """Within, what is trained has the values that count: the average's where the recipe asks for one."""
        with self.average.worn() if self.average is not None else nullcontext():
            yield

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps what is trained and its average, in place of all weights."""
        checkpoint["state_dict"] = {name: parameter.detach() for name, parameter in self._trained.items()}
        checkpoint["average"] = dict(self.average.values) if self.average is not None else {}

    @torch.no_grad()
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes what is trained and its average."""
        for name, value in checkpoint["state_dict"].items():
            self._trained[name].copy_(value)
        if self.average is not None:
            self.average.load(checkpoint["average"])
        checkpoint["state_dict"] = {}  # Lightning would look for these names among all of the module's

    def _stack(self, tensors: Iterable[Tensor]) -> Tensor:
        return torch.stack([tensor.to(self.device) for tensor in tensors])


def _words(step: int, what: str, draws: Sequence[Draw]) -> str:
    names = ", ".join(f"{draw.sample.name} (timestep {draw.timestep})" for draw in draws)
    return (
        f"Step {step + 1}: the {what} is not a number any more, with {names}. Lower `learning_rate`, or set "
        "`precision: fp32`; if it is always the same picture, look at that."
    )
