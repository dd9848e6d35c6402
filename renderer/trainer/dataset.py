"""The data set of a recipe: fetched, checked picture by picture, filtered by Data-Juicer, and shown on a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import astuple, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from renderer.errors import AuthoringError, DataError
from renderer.files import explained
from renderer.trainer.data.checking import Checked, Needs, check_pictures
from renderer.trainer.data.duplicates import find_duplicates
from renderer.trainer.data.fetching import fetch_dataset, fetched_folder, is_fetched
from renderer.trainer.data.juicing import Juicer, refusals
from renderer.trainer.data.listing import Listing, list_pictures
from renderer.trainer.data.pictures import open_picture
from renderer.trainer.data.report import Look, Report, digest_of, read_report, write_report
from renderer.trainer.data.samples import Finding, Sample
from renderer.trainer.data.sifting import Sifted, sift
from renderer.trainer.data.thumbs import THUMBS, keep_thumbs
from renderer.trainer.data.words import frequent_words
from renderer.trainer.pages import PAGE, write_dataset_page
from renderer.trainer.recipe import Recipe

__all__ = ["Dataset", "Finding", "Sample", "Tell", "needs_of", "open_picture", "prepare_dataset"]

LEAST = 2
"""Pictures from which something can be learned that is not one picture itself."""
_FULL = "the disk is full. Free some space and train again: what was fetched and learned so far is safe."
_ELSEWHERE = "train elsewhere with --run DIR"

Tell = Callable[[str, int, int], None]
"""Is told how far it is: the stage (`fetching`, `checking`, `filtering`), how many are done, of how many."""


@dataclass(frozen=True)
class Dataset:
    """The pictures to train on, in order, and what was found about all the others.

    `digest` is the sha256 (64 hex digits) of all that training sees: the files' contents and captions, in order.
    """

    samples: tuple[Sample, ...]
    digest: str
    findings: tuple[Finding, ...]


def prepare_dataset(recipe: Recipe, folder: Path, tell: Tell) -> Dataset:
    """The data set of a recipe. `folder` gets its report, its page with small pictures, and Data-Juicer's log.

    What is there already for the same pictures, captions and filter is used as it is. Raises DataError where there is
    nothing to train on or nothing can be fetched, AuthoringError for mistakes in the filter, RunFolderError.
    """
    _refuse_operators(recipe, refusals(recipe.filter))
    report = _known(recipe, folder)
    if report is None:
        with explained(folder, _FULL, _ELSEWHERE):
            folder.mkdir(parents=True, exist_ok=True)
            report = _prepared(recipe, folder, tell)
            keep_thumbs(folder / THUMBS, {look.thumb for look in report.looks.values()})
            write_dataset_page(folder, report, recipe)
            write_report(report, folder)
    if len(report.samples) < LEAST:
        raise DataError(_too_few(recipe, report, folder))
    return Dataset(report.samples, report.digest, report.findings)


def _known(recipe: Recipe, folder: Path) -> Report | None:
    """The report that lies in the folder, if it is of the same recipe and pictures."""
    if recipe.data_folder is None and not is_fetched(recipe.data):
        return None
    source = recipe.data_folder or fetched_folder(recipe.data)
    report = read_report(folder, _inputs(recipe, list_pictures(source, recipe.data)))
    return report if (folder / PAGE).is_file() else None


def _prepared(recipe: Recipe, folder: Path, tell: Tell) -> Report:
    """The operators are built first, so that a mistake in them is told before anything is fetched or looked at."""
    filters = Juicer(recipe.filter, recipe.executor, folder / "juicer") if recipe.filter else nullcontext(None)
    with filters as juicer:
        if juicer is not None:
            _refuse_operators(recipe, juicer.problems())
        source = recipe.data_folder or fetch_dataset(recipe.data, partial(tell, "fetching"))
        listing = list_pictures(source, recipe.data)
        thumbs = folder / THUMBS
        thumbs.mkdir(exist_ok=True)
        needs = needs_of(recipe)
        checked = check_pictures(listing.pictures, needs, thumbs, partial(tell, "checking"))
        good = tuple(it for it in checked if it.is_good)
        sifted = Sifted(good, (), {}, ())
        if juicer is not None and good:
            sifted = sift(juicer, good, needs, thumbs, partial(tell, "filtering"))
    return _report(recipe, listing, checked, sifted)


def needs_of(recipe: Recipe) -> Needs:
    """What pictures have to have. Without a caption, a new word that is learned stands for all that is seen."""
    image, captioned = recipe.image, recipe.kind != "textual-inversion"
    return Needs(image.width, image.height, any_aspect=image.buckets, upscale=image.upscale, caption=captioned)


def _report(recipe: Recipe, listing: Listing, checked: Iterable[Checked], sifted: Sifted) -> Report:
    left = sifted.left
    looks = {
        it.listed.name: Look(it.width, it.height, it.listed.caption, it.thumb, sifted.numbers.get(it.listed.name, {}))
        for it in (*checked, *left)
        if it.width
    }
    names = [it.listed.name for it in left]
    return Report(
        inputs=_inputs(recipe, listing),
        samples=tuple(_sample(it) for it in left),
        findings=(*listing.findings, *(found for it in checked for found in it.findings), *sifted.findings),
        looks=looks,
        steps=sifted.steps,
        duplicates=tuple(find_duplicates(names, [it.pixels for it in left], [it.outline for it in left])),
        words=tuple(frequent_words((it.listed.caption for it in left), recipe.model_folder)),
    )


def _sample(it: Checked) -> Sample:
    return Sample(it.listed.name, it.listed.path.absolute(), it.listed.caption, it.width, it.height, it.sha256)


def _inputs(recipe: Recipe, listing: Listing) -> str:
    """The digest of all that decides a report. Files are known by name, size and time, so that none has to be read."""
    stats = [(_stat(it.path), it) for it in listing.pictures]
    return digest_of(
        {
            "files": [[it.name, it.caption, it.lack, *stat] for stat, it in stats],
            "folder": str((recipe.data_folder or fetched_folder(recipe.data)).absolute()),
            "findings": [[it.name, it.detail] for it in listing.findings],
            "needs": astuple(needs_of(recipe)),
            "filter": [*recipe.filter],
            "executor": recipe.executor,
            "data_juicer": _version() if recipe.filter else "",
            "model": recipe.edition,
        }
    )


def _stat(path: Path) -> tuple[int, int]:
    """Size and time of a file; zeros for one that is gone meanwhile."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _version() -> str:
    try:
        return version("py-data-juicer")
    except PackageNotFoundError:
        return ""


def _refuse_operators(recipe: Recipe, problems: list[tuple[int, str]]) -> None:
    """Raises AuthoringError with what is wrong with operators, each at its place in the recipe."""
    if problems:
        raise AuthoringError(recipe.problem(("filter", index, *recipe.filter[index]), what) for index, what in problems)


def _too_few(recipe: Recipe, report: Report, folder: Path) -> str:
    """Why there is nothing to train on: what was wrong with how many, and what each operator did."""
    source = recipe.data_folder or recipe.data.modelscope
    count = len({it.name for it in report.findings if it.left_out} | {it.name for it in report.samples})
    left = "only one picture is left" if report.samples else "no picture is left"
    if count == len(report.samples):
        left = "there is only one picture"
    reasons = Counter(it.reason for it in report.findings if it.left_out and it.stage != "filtered")
    told = [f"{many} {reason.replace('_', ' ')}" for reason, many in reasons.most_common()]
    lines = [f"{source}: {left}{f' of {count}' if count > len(report.samples) else ''}. At least {LEAST} are needed."]
    lines += [f"  left out when checked: {', '.join(told)}"] if told else []
    lines += [
        f"  filter[{index}] {step.name} dropped {step.came - step.stayed} of {step.came}"
        f" ({', '.join(f'{key} {value}' for key, value in step.arguments.items()) or 'its defaults'})"
        for index, step in enumerate(report.steps)
        if step.stayed < step.came
    ]
    if reasons["too_small"]:
        lines.append("  For pictures that are too small, ask for a smaller image.size, or for image: {upscale: true}.")
    return "\n".join([*lines, f"Each is shown in {folder / PAGE}"])
