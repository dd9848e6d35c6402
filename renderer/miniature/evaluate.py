"""The command that measures a model: `python -m renderer.miniature.evaluate MODEL_FOLDER --work DIR`."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import torch

from renderer.kolors.card import ModelCard, read_card
from renderer.miniature.evaluation.asking import draw_all, paint_all
from renderer.miniature.evaluation.painting import ModelPainter, Studio, networks_on, painting_pool
from renderer.miniature.evaluation.report import Findings, card_figures, markdown
from renderer.miniature.evaluation.schooling import Schooling, judge_once
from renderer.miniature.evaluation.showcase import showcase_page, showcase_prompts
from renderer.miniature.evaluation.survey import measure
from renderer.miniature.training.export import update_card

_CPU_BATCH, _CUDA_BATCH = 10, 500


def main() -> None:
    """Measures the model folder named on the command line, and writes what was found into the work folder."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    options = _parse()
    torch.set_num_threads(options.processes)
    card, device = read_card(options.model), torch.device(options.device)
    schooling = Schooling(drawings=options.lessons, glances=4 * options.lessons, looks=2 * options.lessons)
    judge = judge_once(options.work, schooling, options.processes, device)
    vae = networks_on(options.model, str(device)).vae
    with studio_for(options.model, options.work, card, device, options.processes) as studio:
        save_samples(options.work, studio, card.guidance)
        findings = measure(studio, judge, vae, card, options.prompts, options.processes)
    save_findings(options.work, findings)
    if options.card:
        update_card(options.model, card_figures(findings))


@contextmanager
def studio_for(model: Path, work: Path, card: ModelCard, device: torch.device, processes: int) -> Iterator[Studio]:
    """A studio for the model folder: on the CPU with so many processes, on a GPU in large batches."""
    painter, name = ModelPainter(model, str(device)), f"{card.name} {card.digest}"
    studio = Studio(painter, work / "painted", name, card.size, card.steps, batch=_CUDA_BATCH)
    if device.type == "cuda":
        yield studio
    else:
        with painting_pool(processes) as pool:
            yield replace(studio, batch=_CPU_BATCH, pool=pool)


def save_findings(work: Path, findings: Findings) -> None:
    """Writes `evaluation.json` and `evaluation.md`."""
    content = json.dumps(asdict(findings), ensure_ascii=False, indent=2)
    (work / "evaluation.json").write_text(content + "\n", encoding="utf-8")
    (work / "evaluation.md").write_text(markdown(findings), encoding="utf-8")


def save_samples(work: Path, studio: Studio, guidance: float) -> None:
    """Writes `samples.png`: a prompt for each place, drawn and painted."""
    asked = showcase_prompts()
    drawn = draw_all([it.picture for it in asked], studio.size[0])
    showcase_page(asked, drawn, paint_all(studio, asked, guidance)).save(work / "samples.png", optimize=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how well a miniature paints what it is told.")
    parser.add_argument("model", type=Path, help="the model's folder")
    parser.add_argument("--work", type=Path, required=True, help="folder for the judge, painted pictures and results")
    parser.add_argument("--prompts", type=int, default=1000, help="held-out prompts in each language")
    parser.add_argument("--lessons", type=int, default=Schooling.drawings, help="drawings that the judge learns from")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to paint and judge")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 2, help="how many paint and draw on the CPU")
    parser.add_argument("--card", action="store_true", help="write the essential figures into the model's card too")
    options = parser.parse_args()
    if options.device == "auto":
        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    return options


if __name__ == "__main__":
    main()
