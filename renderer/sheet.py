"""The sheet: a story's pictures and all that is known of them, on one HTML page that opens from disk."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import jinja2
import yaml
from markupsafe import Markup

from renderer.collector import collector_rests
from renderer.errors import StoryboardError
from renderer.files import explained, write_atomically
from renderer.looking.changes import told
from renderer.looking.data import page_json
from renderer.looking.html import bundled_templates, content_policy, open_templates, source_of
from renderer.looking.text import moment, timecode
from renderer.looking.viewing import view_page
from renderer.looking.views import PageView
from renderer.manifest import Manifest

SHEET = "index.html"
TEMPLATE = "sheet.html.j2"
STYLES = ("sheet.css", "sweep.css", "toolbar.css", "review.css", "print.css")
EARLY = "js/early.js"
"""Runs before the first paint, so that no page flashes in a theme that its reader has left."""
SCRIPTS = (
    *("story", "look", "finding", "details", "copying", "place"),
    *("entries", "shelves", "store", "review", "saving", "dialogs", "cursor", "keys"),
    *("panning", "loupe", "strip", "compare", "before", "sync", "page"),
)
"""Joined into one script in this order, so that they share one scope."""
WORDS = "words.yaml"

Words = dict[str, str]


def write_sheet(
    manifest: Manifest, folder: Path, *, templates: Path | None = None, painting: tuple[int, int] | None = None
) -> Path:
    """Writes the sheet of a run folder, `index.html`, and the thumbnails that it needs; returns its path.

    `templates` is a folder whose files take the place of the package's own of the same names. `painting` is how many
    takes of how many are done so far; the page then says so and reloads itself. Raises StoryboardError with file and
    line for a template that can't be used, and RunFolderError.
    """
    path = folder / SHEET
    html = sheet_html(manifest, folder, templates=templates, painting=painting)
    with explained(folder):
        write_atomically(path, html.encode("utf-8"))
    return path


@collector_rests()
def sheet_html(
    manifest: Manifest,
    folder: Path,
    *,
    templates: Path | None = None,
    painting: tuple[int, int] | None = None,
    served: Mapping[str, str] | None = None,
) -> str:
    """The sheet of a run folder as it is now; thumbnails that it needs are made. Raises as `write_sheet` does.

    `served` are the addresses of `storyboard review` (`review`, `events`); the page may then speak with its server.
    """
    with explained(folder):
        page = view_page(manifest, folder, painting)
    return render_sheet(page, templates, served)


def render_sheet(page: PageView, templates: Path | None = None, served: Mapping[str, str] | None = None) -> str:
    """The HTML of a sheet. Raises StoryboardError with file and line for a template that can't be used."""
    if templates is not None and not templates.is_dir():
        raise StoryboardError(f"{templates}: there is no such folder of templates.")
    try:
        return _rendered(page, templates, served)
    except StoryboardError:
        raise
    except Exception as error:
        place = _place(error, templates)
        if place is None:
            raise
        raise StoryboardError(f"{place}: {error or type(error).__name__}. Mend it, or render without it.") from error


def _rendered(page: PageView, templates: Path | None, served: Mapping[str, str] | None) -> str:
    environment = _environment(templates)
    style = "\n".join(source_of(environment, name) for name in STYLES)
    early, script = source_of(environment, EARLY), _script(environment)
    words = _words(templates)
    return environment.get_template(TEMPLATE).render(
        page=page,
        words=words[page.language],
        style=Markup(style),
        early=Markup(early),
        script=Markup(script),
        story=Markup(page_json(page, words, served)),
        policy=content_policy(style, (early, script), served is not None),
    )


@lru_cache(maxsize=8)
def _environment(templates: Path | None) -> jinja2.Environment:
    """Compiled once per folder of templates; files that change are compiled anew."""
    environment = open_templates(*([templates] if templates is not None else []))
    environment.filters |= {"moment": moment, "timecode": timecode, "told": told}
    return environment


def _script(environment: jinja2.Environment) -> str:
    """The page's modules as one script with one scope, out of reach of anything else."""
    modules = "\n".join(source_of(environment, f"js/{name}.js") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{modules}\n}})();\n'


def _words(templates: Path | None) -> dict[str, Words]:
    """The words of the page by language; those of the user's templates before ours."""
    words = {language: dict(table) for language, table in _word_file(bundled_templates() / WORDS).items()}
    own = templates / WORDS if templates is not None else None
    if own is not None and own.is_file():
        tables = _word_file(own)
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            raise StoryboardError(f"{own}: words stand under their language, `zh:` or `en:`.")
        for language, table in words.items():
            table |= tables.get(language, {})
    return words


def _word_file(path: Path) -> dict[str, Words]:
    return _parsed(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=8)
def _parsed(source: str) -> dict[str, Words]:
    """The words in a file, read by PyYAML's parser in C where there is one: the other takes as long as the whole page.

    Mistakes are told by the one in Python, whose places are exact.
    """
    words: dict[str, Words]
    try:
        words = yaml.load(source, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        words = yaml.safe_load(source)
    return words


def _place(error: Exception, templates: Path | None) -> str | None:
    """File and line in the user's templates where an error arose; None for errors that are not theirs."""
    if templates is None:
        return None
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{templates / WORDS}:{error.problem_mark.line + 1}"
    if isinstance(error, UnicodeDecodeError):
        return str(templates)
    places = [(error.filename, error.lineno)] if isinstance(error, jinja2.TemplateSyntaxError) else []
    trace = error.__traceback__
    while trace is not None:
        places.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    own = [(file, line) for file, line in places if file and Path(file).is_relative_to(templates)]
    return f"{own[-1][0]}:{own[-1][1]}" if own else None
