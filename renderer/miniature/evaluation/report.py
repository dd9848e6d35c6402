"""What an evaluation found: as JSON, as a page of tables, and in short for the model's card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from renderer.miniature.evaluation.attributes import ATTRIBUTES
from renderer.miniature.evaluation.examination import Mark, failed
from renderer.miniature.evaluation.shares import ALL, Figures, Share, together
from renderer.miniature.evaluation.variety import Diversity, Negated

Table = dict[str, Figures]
"""The share of each attribute, and of ALL that the judge is sure of."""


@dataclass(frozen=True)
class Findings:
    """Everything that was measured of one model.

    `guided` and `unguided` are by language (`zh`, `en`, `both`); `drawn` and `rebuilt` are the judge's shares on the
    book's own drawings and on these after their way through the autoencoder, which no painting can surpass.
    """

    model: str
    size: tuple[int, int]
    steps: int
    guidance: float
    machine: str
    seconds_per_picture: float
    prompts_per_language: int
    judge: dict[str, Mark]
    guided: dict[str, Table]
    unguided: dict[str, Table]
    drawn: Table
    rebuilt: Table
    by_guidance: dict[str, Figures]
    psnr_db: dict[str, float]
    diversity: Diversity
    negatives: list[Negated]


def table_of(shares: Mapping[str, Share], left_out: Iterable[str]) -> Table:
    """The figures of every attribute, and of ALL but those left out."""
    counted = {attribute: share for attribute, share in shares.items() if attribute not in set(left_out)}
    ordered = {attribute: shares[attribute].figures for attribute in ATTRIBUTES if attribute in shares}
    return {ALL: together(counted).figures} | ordered


def card_figures(findings: Findings) -> dict[str, Any]:
    """The few numbers that a model's card carries."""
    return {
        "prompts_per_language": findings.prompts_per_language,
        "obeyed": {language: table[ALL]["share"] for language, table in findings.guided.items()},
        "obeyed_without_guidance": findings.unguided["both"][ALL]["share"],
        "obeyed_at_most": findings.rebuilt[ALL]["share"],
        "obeyed_by_attribute": {
            name: figures["share"] for name, figures in findings.guided["both"].items() if name != ALL
        },
        "vae_psnr_db": findings.psnr_db,
        "diversity": {"painted": round(findings.diversity.painted, 3), "drawn": round(findings.diversity.drawn, 3)},
        "seconds_per_picture": findings.seconds_per_picture,
        "machine": findings.machine,
    }


def markdown(findings: Findings) -> str:
    """A page of tables."""
    width, height = findings.size
    parts = [
        f"# {findings.model}: what it paints of what it is told\n",
        f"{findings.prompts_per_language} held-out prompts in each language, {width}x{height}, DDIM, "
        f"{findings.steps} steps, guidance {findings.guidance:g}. A picture takes {findings.seconds_per_picture:.2f} s "
        f"(median, one by one) on {findings.machine}. Shares in per cent, with 95 % Wilson intervals.\n",
        "## Attributes obeyed\n",
        _obeyed(findings),
        "`drawn` are the book's own pictures as the judge sees them, `rebuilt` the same after their way through the "
        "autoencoder: the most that painting can reach.\n" + _doubts(findings),
        "## Guidance\n",
        _rows(("guidance", "obeyed"), [(name, _percent(it)) for name, it in findings.by_guidance.items()]),
        "## Autoencoder: PSNR in dB\n",
        _rows(("style", "dB"), [(style, f"{value:.2f}") for style, value in findings.psnr_db.items()]),
        "## Diversity\n",
        _diversity(findings.diversity),
        "## Negative prompts\n",
        _negatives(findings.negatives),
        "## The judge\n",
        "Rightly judged drawings that it never saw, sharp and softened.\n",
        _rows(("attribute", "sharp", "soft", "count"), [_mark_row(*item) for item in findings.judge.items()]),
    ]
    return "\n".join(parts)


def _obeyed(findings: Findings) -> str:
    rows = []
    for attribute, both in findings.guided["both"].items():
        zh, en = (findings.guided[language].get(attribute) for language in ("zh", "en"))
        difference = f"{100 * (zh['share'] - en['share']):+.1f}" if zh and en else ""
        rows.append(
            (
                attribute + (" †" if attribute in failed(findings.judge) else ""),
                str(both["count"]),
                _percent(both),
                *(f"{100 * it['share']:.1f}" if it else "" for it in (zh, en)),
                difference,
                _short(findings.unguided["both"], attribute),
                _short(findings.rebuilt, attribute),
                _short(findings.drawn, attribute),
            )
        )
    heads = ("attribute", "asked", "obeyed", "zh", "en", "zh - en", "without guidance", "rebuilt", "drawn")
    return _rows(heads, rows)


def _doubts(findings: Findings) -> str:
    doubtful = failed(findings.judge)
    return f"\n† The judge is not sure enough of {', '.join(doubtful)}: left out of `all`.\n" if doubtful else ""


def _diversity(it: Diversity) -> str:
    return (
        f"{it.seeds} seeds of each of {it.prompts} prompts are {it.painted:.2f} apart; {it.seeds} variants of the same "
        f"attributes, drawn, {it.drawn:.2f}. Mean pairwise distances in the judge's feature space, where drawings of "
        "different attributes are 1 apart. The prompts tell everything that shows.\n"
    )


def _negatives(negatives: Sequence[Negated]) -> str:
    rows = [
        (
            f"{it.attribute}: {it.value}",
            str(it.without["count"]),
            _percent(it.without),
            _percent(it.with_it),
            f"{100 * it.rest_without:.1f} → {100 * it.rest_with:.1f}",
        )
        for it in negatives
    ]
    return _rows(("not named", "prompts", "shown", "with it as negative prompt", "the rest obeyed"), rows)


def _mark_row(attribute: str, mark: Mark) -> tuple[str, ...]:
    soft, sharp = mark.soft, mark.sharp
    return attribute, f"{100 * sharp['share']:.1f}", f"{100 * soft['share']:.1f}", str(sharp["count"])


def _short(table: Table, attribute: str) -> str:
    return f"{100 * table[attribute]['share']:.1f}" if attribute in table else ""


def _percent(it: Figures) -> str:
    return f"{100 * it['share']:.1f} ({100 * it['low']:.1f} … {100 * it['high']:.1f})"


def _rows(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
