"""What all pages of ours have in common: templates that escape every text, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket
from platformdirs import user_cache_path

from renderer.looking.text import clock, visible


def bundled_templates() -> Path:
    """The package's own templates: in the wheel beside its modules, in a checkout at its top."""
    package = Path(__file__).parents[1]
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"


def open_templates(*before: Path) -> jinja2.Environment:
    """The package's templates; files of the folders `before` take the place of those of the same names."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*before, bundled_templates()]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible,
        bytecode_cache=_Compiled(user_cache_path("kolors-storyboard", appauthor=False) / "templates"),
    )
    environment.filters["clock"] = clock
    return environment


class _Compiled(jinja2.FileSystemBytecodeCache):
    """Templates as Jinja compiled them in an earlier run: doing it again takes as long as writing a short page.

    Jinja compares what it compiled with the template; here its own version counts, too. A folder that can't be written
    is no reason to fail.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), f"{version('jinja2')}-%s.compiled")
        self.folder = folder

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled, where that can be."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            super().dump_bytecode(bucket)


def source_of(environment: jinja2.Environment, name: str) -> str:
    """The text of a file among the templates. Raises jinja2.TemplateNotFound."""
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def content_policy(style: str, scripts: Sequence[str], served: bool = False) -> str:
    """A page's Content-Security-Policy: its own style and scripts by hash, pictures beside it, and nothing else.

    A page that is `served` may speak with its server.
    """
    return (
        f"default-src 'none'; img-src 'self'; style-src {_hashed(style)}; "
        f"script-src {' '.join(map(_hashed, scripts))}; "
        + ("connect-src 'self'; " if served else "")
        + "base-uri 'none'; form-action 'none'"
    )


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
