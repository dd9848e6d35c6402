"""The pictures of DreamBooth's class: those of the recipe's folder, then painted ones, as many as are asked for.

They go through the same checks as all pictures, and have a page of their own, `class/index.html` in the run folder; the
recipe's filter is for the subject's pictures alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from filelock import FileLock

from renderer.errors import DataError
from renderer.take import Painter
from renderer.trainer.data.checking import Checked, check_pictures
from renderer.trainer.data.duplicates import find_duplicates
from renderer.trainer.data.listing import Listed, Listing, list_pictures
from renderer.trainer.data.report import Look, Report, digest_of, write_report
from renderer.trainer.data.thumbs import THUMBS, keep_thumbs
from renderer.trainer.dataset import Finding, Sample, needs_of
from renderer.trainer.kinds.class_painting import entry_of, painted_class, painted_folder
from renderer.trainer.learning.job import Job
from renderer.trainer.pages import write_dataset_page
from renderer.trainer.recipe import Recipe
from renderer.trainer.recipes.recipe_file import DataEntry

CLASS = "class"
"""Their folder in the run folder, and what their names begin with among those of all pictures."""


@dataclass(frozen=True, slots=True)
class ClassPictures:
    """The class pictures that are trained on, in order, and what was found about them and all the others."""

    samples: tuple[Sample, ...]
    findings: tuple[Finding, ...]

    def digest_with(self, digest: str) -> str:
        """sha256 (64 hex digits) of a data set of that digest with these pictures beside it."""
        return digest_of([digest, [[sample.sha256, sample.caption] for sample in self.samples]])


def class_pictures(job: Job, painter: Callable[[], Painter]) -> ClassPictures:
    """As many class pictures as the recipe asks for; those that its folder lacks are painted by what `painter` opens.

    Of a folder that has more, the first ones are taken. Raises what `painted_class` raises.
    """
    folder = job.run / CLASS
    with job.writing(folder):
        (folder / THUMBS).mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):  # processes that train together come here one after the other
            report = _gathered(job, painter)
            keep_thumbs(folder / THUMBS, {look.thumb for look in report.looks.values()})
            write_dataset_page(folder, report, _page_of(job))
            write_report(report, folder)
    return ClassPictures(
        tuple(replace(it, name=f"{CLASS}/{it.name}") for it in report.samples),
        tuple(replace(it, name=f"{CLASS}/{it.name}") for it in report.findings),
    )


def _gathered(job: Job, painter: Callable[[], Painter]) -> Report:
    """What became of the folder's pictures and of those that are painted in place of missing ones."""
    entry, own = entry_of(job.recipe), _listed(job.recipe)
    looked_at = _checked(job, own.pictures)
    lacking = entry.class_pictures - sum(it.is_good for it in looked_at)
    if lacking > 0:
        painted = painted_class(job, lacking, painter)
        looked_at += _checked(job, [Listed(f"painted/{it.name}", it, entry.class_prompt) for it in painted])
    return _report(own, looked_at, entry.class_pictures)


def _listed(recipe: Recipe) -> Listing:
    """The pictures of the recipe's folder, with the class prompt for a caption; none where there is no folder."""
    caption = DataEntry.model_validate({"caption": entry_of(recipe).class_prompt})
    if recipe.class_folder is not None:
        with suppress(DataError):  # it isn't there yet, of which the recipe warns, or it is empty
            return list_pictures(recipe.class_folder, caption)
    return Listing((), ())


def _checked(job: Job, pictures: Sequence[Listed]) -> list[Checked]:
    tell = partial(job.told, "checking")
    return check_pictures(pictures, needs_of(job.recipe), job.run / CLASS / THUMBS, tell)


def _report(own: Listing, looked_at: Sequence[Checked], wanted: int) -> Report:
    kept = [it for it in looked_at if it.is_good][:wanted]
    names = [it.listed.name for it in kept]
    return Report(
        inputs="",
        samples=tuple(_sample(it) for it in kept),
        findings=(*own.findings, *(found for it in looked_at for found in it.findings)),
        looks={
            it.listed.name: Look(it.width, it.height, it.listed.caption, it.thumb, {}) for it in looked_at if it.width
        },
        steps=(),
        duplicates=tuple(find_duplicates(names, [it.pixels for it in kept], [it.outline for it in kept])),
        words=(),
    )


def _sample(it: Checked) -> Sample:
    path = it.listed.path.absolute()
    return Sample(it.listed.name, path, it.listed.caption, it.width, it.height, it.sha256, regularizing=True)


def _page_of(job: Job) -> Recipe:
    """The recipe as the class pictures' page shows it: its name with the class, and where they come from."""
    entry = entry_of(job.recipe)
    source = DataEntry.model_validate({"folder": entry.class_folder or str(painted_folder(job).absolute())})
    return replace(job.recipe, name=f"{job.recipe.name}: {entry.class_prompt}", data=source)
