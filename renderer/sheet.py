"""The sheet: a story's pictures and all that is known of them, on one HTML page that opens from disk."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from pathlib import Path

import jinja2
import yaml
from markupsafe import Markup

from renderer.errors import StoryboardError
from renderer.files import explained, write_atomically
from renderer.looking.viewing import view_page
from renderer.looking.views import PageView
from renderer.manifest import Manifest

SHEET = "index.html"
TEMPLATE = "sheet.html.j2"
STYLE = "sheet.css"
SCRIPT = "sheet.js"
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
    with explained(folder):
        page = view_page(manifest, folder, painting)
    html = render_sheet(page, templates)
    with explained(folder):
        write_atomically(path, html.encode("utf-8"))
    return path


def render_sheet(page: PageView, templates: Path | None = None) -> str:
    """The HTML of a sheet. Raises StoryboardError with file and line for a template that can't be used."""
    if templates is not None and not templates.is_dir():
        raise StoryboardError(f"{templates}: there is no such folder of templates.")
    environment = _environment(templates)
    try:
        style, script = _source(environment, STYLE), _source(environment, SCRIPT)
        words = _words(templates, page.language)
        return environment.get_template(TEMPLATE).render(
            page=page, words=words, style=Markup(style), script=Markup(script), policy=_policy(style, script)
        )
    except StoryboardError:
        raise
    except Exception as error:
        place = _place(error, templates)
        if place is None:
            raise
        raise StoryboardError(f"{place}: {error or type(error).__name__}. Mend it, or render without it.") from error


def bundled_templates() -> Path:
    """The package's own templates: in the wheel beside this module, in a checkout at its top."""
    inside = Path(__file__).parent / "templates"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "templates"


@lru_cache(maxsize=8)
def _environment(templates: Path | None) -> jinja2.Environment:
    """Compiled once per folder of templates; files that change are compiled anew."""
    folders = [folder for folder in (templates, bundled_templates()) if folder is not None]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible,
    )
    environment.filters |= {"moment": moment, "clock": clock}
    return environment


def _source(environment: jinja2.Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _words(templates: Path | None, language: str) -> Words:
    """The words of the page in one language; those of the user's templates before ours."""
    words = dict(_word_file(bundled_templates() / WORDS)[language])
    own = templates / WORDS if templates is not None else None
    if own is not None and own.is_file():
        tables = _word_file(own)
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            raise StoryboardError(f"{own}: words stand under their language, `zh:` or `en:`.")
        words |= tables.get(language, {})
    return words


def _word_file(path: Path) -> dict[str, Words]:
    return _parsed(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=8)
def _parsed(source: str) -> dict[str, Words]:
    words: dict[str, Words] = yaml.safe_load(source)
    return words


def _policy(style: str, script: str) -> str:
    """The page's Content-Security-Policy: its own style and script by hash, pictures beside it, and nothing else."""

    def source(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src 'self'; style-src {source(style)}; script-src {source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


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


_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def visible(value: object) -> object:
    """Text with � for control characters and for what UTF-8 can't hold; other values as they are."""
    return _HIDDEN.sub("\ufffd", value) if isinstance(value, str) and _HIDDEN.search(value) else value


def moment(iso: str) -> str:
    """`2026-05-04T03:02:01+00:00` as people read it; other text as it is."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)", iso)
    return f"{found[1]} {found[2]} UTC" if found else iso


def clock(seconds: float, unit: str = "s") -> str:
    """Seconds as `4.5 s` below a minute, then as `1:05`, then as `1:00:05`; `unit` is the word for seconds."""
    if seconds < 59.95:
        return f"{round(seconds, 1):g} {unit}"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
