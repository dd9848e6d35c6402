"""What a recipe asks for that this machine doesn't have: told before anything is fetched or trained."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import packages_distributions
from importlib.util import find_spec

from renderer.errors import AuthoringError, Problem, TrainingError, did_you_mean
from renderer.trainer.recipe import Recipe

EXTRA = 'pip install "kolors-storyboard[train]"'


def require_packages(names: list[str]) -> None:
    """Raises TrainingError where one of these packages is missing: how all that training needs is installed."""
    missing = [name for name in names if not _installed(name)]
    if missing:
        raise TrainingError(f"Training needs more packages ({', '.join(missing)}). Run: {EXTRA}")


def require_data_tools(recipe: Recipe) -> None:
    """Raises TrainingError or AuthoringError where the recipe's data can't be prepared here."""
    require_packages(["data_juicer"] if recipe.filter else [])
    if recipe.executor == "ray" and not _installed("ray"):
        raise AuthoringError([recipe.problem(("executor",), "Ray is not installed.", "Run: pip install ray")])


def require_machine(recipe: Recipe) -> None:
    """Raises TrainingError or AuthoringError where the recipe can't be trained here; loads torch only where asked."""
    wanted = {"prodigyopt": recipe.train.optimizer == "prodigy", "tensorboard": "tensorboard" in recipe.loggers}
    require_packages(["lightning", "peft", *(name for name, needed in wanted.items() if needed)])
    problems = [*_optimizer_problems(recipe), *_device_problems(recipe), *_logger_problems(recipe)]
    if problems:
        raise AuthoringError(problems)


def _optimizer_problems(recipe: Recipe) -> Iterator[Problem]:
    if recipe.train.optimizer != "adamw8bit":
        return
    where = ("train", "optimizer")
    if not _gpus():
        yield recipe.problem(where, "adamw8bit needs CUDA, and there is none here.", "Write optimizer: adamw.")
    elif not _installed("bitsandbytes"):
        yield recipe.problem(where, "adamw8bit needs bitsandbytes.", "Run: pip install bitsandbytes")


def _device_problems(recipe: Recipe) -> Iterator[Problem]:
    train = recipe.train
    if train.precision == "fp16-mixed" and not _gpus():
        todo = "Write precision: auto, or bf16-mixed."
        yield recipe.problem(("train", "precision"), "fp16-mixed needs CUDA, and there is none here.", todo)
    if isinstance(train.devices, tuple):
        for index, device in enumerate(train.devices):
            if device >= _gpus():
                what = f"there is no GPU {device} here; there are {_gpus() or 'none'}."
                yield recipe.problem(("train", "devices", index), what, "They are counted from 0.")
    elif isinstance(train.devices, int) and train.devices > 1 and 0 < _gpus() < train.devices:
        what = f"there are not {train.devices} GPUs here; there are {_gpus()}."
        yield recipe.problem(("train", "devices"), what, "Write devices: auto to use all.")
    if train.strategy != "auto" and train.strategy not in (known := _strategies()):
        what = f'Lightning has no strategy "{train.strategy}".'
        yield recipe.problem(("train", "strategy"), what, did_you_mean(train.strategy, known))


def _logger_problems(recipe: Recipe) -> Iterator[Problem]:
    """Only what was installed is imported by name: nothing that came along with a recipe."""
    dotted = [(index, name.partition(".")[0]) for index, name in enumerate(recipe.loggers) if "." in name]
    installed = packages_distributions() if dotted else {}
    for index, package in dotted:
        if package not in installed:
            what = f'no package "{package}" is installed.'
            yield recipe.problem(("loggers", index), what, "Install it, or remove the logger.")


def _installed(name: str) -> bool:
    return find_spec(name) is not None


def _gpus() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _strategies() -> list[str]:
    from lightning.pytorch.strategies import StrategyRegistry

    return StrategyRegistry.available_strategies()
