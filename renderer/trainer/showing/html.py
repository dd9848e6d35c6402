"""The trainer's pages as HTML: templates, styles, scripts and words of the package, and a policy against others."""

from __future__ import annotations

import re
from functools import cache

import jinja2
import yaml
from markupsafe import Markup

from renderer.looking.data import safe_json
from renderer.looking.html import content_policy, open_templates, source_of

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
        policy=content_policy(style, (early, script)),
    )


def language_of(*texts: str) -> str:
    """The language of a page about these texts: `zh` where any of them has Chinese characters, else `en`."""
    return "zh" if any(re.search("[\u3400-\u9fff]", text) for text in texts) else "en"


@cache
def _environment() -> jinja2.Environment:
    return open_templates()


def _source(name: str) -> str:
    return source_of(_environment(), name)


@cache
def _words() -> dict[str, Words]:
    words: dict[str, Words] = yaml.safe_load(_source(WORDS))
    return words
