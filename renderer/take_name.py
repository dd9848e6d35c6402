"""What people call a take among those of its scene: its seed, and of a sweep its strength and step."""

from __future__ import annotations

from dataclasses import dataclass


def shown_number(value: float) -> str:
    """A number as authors write it: `1`, not `1.0`; with all the digits that it takes to tell it from others."""
    return str(int(value)) if value == int(value) else repr(value)


@dataclass(frozen=True, slots=True)
class TakeName:
    """How people name a take of a scene: by its seed, and by strength and step where a sweep makes several of a seed.

    `strength` is that of the swept LoRA, `step` the step of its training; None where the scene doesn't sweep it.
    """

    seed: int
    strength: float | None = None
    step: int | None = None

    @property
    def parts(self) -> dict[str, int | float]:
        """What the name is made of, by word."""
        swept = {"strength": self.strength, "step": self.step}
        return {"seed": self.seed} | {word: value for word, value in swept.items() if value is not None}

    @property
    def written(self) -> str:
        """As a storyboard has it behind `pick:`, `1` or `{seed: 1, strength: 0.5, step: 200}`."""
        pairs = ", ".join(f"{word}: {shown_number(value)}" for word, value in self.parts.items())
        return str(self.seed) if len(self.parts) == 1 else f"{{{pairs}}}"

    @property
    def short(self) -> str:
        """`1`, or `1 ×0.5 @200` where there is little room."""
        signs = {"seed": "", "strength": "×", "step": "@"}
        return " ".join(f"{signs[word]}{shown_number(value)}" for word, value in self.parts.items())

    def __str__(self) -> str:
        """`seed 1`, or `seed 1, strength 0.5, step 200`."""
        return ", ".join(f"{word} {shown_number(value)}" for word, value in self.parts.items())
