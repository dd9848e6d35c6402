"""The trainer's pages as HTML: templates, styles, scripts and words of the package, and a policy against others."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache

import jinja2
import yaml
from markupsafe import Markup

from renderer.looking.data import safe_json
from renderer.looking.text import clock, visible
from renderer.sheet import bundled_templates

STYLES = ("sheet.css", "toolbar.css", "trainer.css")
EARLY = "js/early.js"
SCRIPT = "js/trainer.js"
WORDS = "trainer-words.yaml"

Words = dict[str, str]


def page_html(template: str, page: object, language: str) -> str:
    """The HTML of a page: `page` is what its template shows, `language` that of the words (`zh` or `en`) at first."""
    environment = _environment()
    style = "\n".join(_source(name) for name in STYLES)
    early, script = _source(EARLY), _source(SCRIPT)
    words = _words()
    return environment.get_template(template).render(
        page=page,
        words=words[language],
        style=Markup(style),
        early=Markup(early),
        script=Markup(script),
        told=Markup(safe_json({"language": language, "words": words})),
        policy=(
            f"default-src 'none'; img-src 'self'; style-src {_hashed(style)}; "
            f"script-src {_hashed(early)} {_hashed(script)}; base-uri 'none'; form-action 'none'"
        ),
    )


def language_of(*texts: str) -> str:
    """The language of a page about these texts: `zh` where any of them has Chinese characters, else `en`."""
    return "zh" if any(re.search("[\u3400-\u9fff]", text) for text in texts) else "en"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(bundled_templates()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible,
    )
    environment.filters["clock"] = clock
    return environment


@cache
def _source(name: str) -> str:
    return (bundled_templates() / name).read_text(encoding="utf-8")


@cache
def _words() -> dict[str, Words]:
    words: dict[str, Words] = yaml.safe_load(_source(WORDS))
    return words


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
