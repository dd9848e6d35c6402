"""The templates of a story, parsed once, and the characters they name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from renderer.errors import did_you_mean
from renderer.prompts import MAX_LENGTH, longest, measure_cast
from renderer.reading.findings import Findings
from renderer.reading.slips import slips_of
from renderer.reading.story_file import CharacterEntry
from renderer.reading.template import Reference, Template, TemplateError, parse_template
from renderer.reading.yaml_file import Where

MAX_UNKNOWN = 20
"""Most unknown characters that are told of one text."""


class Casting:
    """`templates` by their text, `cast` by character; what is wrong with one is told at its brace."""

    def __init__(self, findings: Findings, characters: Mapping[str, str | CharacterEntry]) -> None:
        self.findings = findings
        self.templates = {"": Template("", ())}
        self.cast: dict[str, Template] = {}
        self._lengths: dict[str, int] = {}
        self._used: set[str] = set()
        self._looked: set[Where] = set()
        root = findings.root
        # Also characters that can't be read have a name: whoever refers to them is not to blame.
        self._names = {*root.items["characters"].keys} if "characters" in root.items else set()
        places: dict[str, Where] = {}
        for name, entry in characters.items():
            text = entry if isinstance(entry, str) else entry.prompt
            places[name] = ("characters", name) if isinstance(entry, str) else ("characters", name, "prompt")
            self.cast[name] = self._parse(places[name], text)
        self._lengths, endless = measure_cast(self.cast)
        for name, what in endless.items():
            if what:
                findings.tell(places[name], what)
            self.cast[name], self._lengths[name] = Template("", ()), 0
        for name, template in self.cast.items():
            self._look_up(places[name], template)
            self._look_for_slips(places[name], template)

    def template(self, where: Where, text: str) -> Template:
        """The template of the text at a path."""
        template = self._parse(where, text)
        self._look_up(where, template)
        self._look_for_slips(where, template)
        return template

    def appearing(self, *templates: Template) -> dict[str, None]:
        """Every character that templates may bring in, in order of appearance."""
        seen: dict[str, None] = {}
        for template in templates:
            self._add_appearing(template, seen)
        return seen

    def warn_of_unused(self) -> None:
        """Warn of characters that appear nowhere; an included cast may well have more than one story needs."""
        root = self.findings.root
        for name in self.cast.keys() - self._used:
            where = ("characters", name)
            if root.find(where).source.file == root.source.file:
                what = f'the character "{name}" appears nowhere.'
                self.findings.warn(where, what, f"Write {{{name}}} in a prompt.")

    def _parse(self, where: Where, text: str) -> Template:
        template = self.templates.get(text)
        if template is not None:
            return template
        try:
            template = parse_template(text)
        except TemplateError as error:
            todo = "“｛” and “｝” are full-width: write { and }." if re.search("[｛｝]", text) else error.todo
            self.findings.tell(where, error.what, todo, at=self._at(where, text, error.snippet, error.offset))
            return Template("", ())
        if longest(template, self._lengths) > MAX_LENGTH:
            what = f"the text becomes longer than {MAX_LENGTH:,} characters."
            self.findings.tell(where, what, "Use fewer characters in it.")
        self.templates[text] = template
        return template

    def _look_up(self, where: Where, template: Template) -> None:
        unknown = [reference for reference in template.references if reference.name not in self._names]
        self._used.update(reference.name for reference in template.references)
        for reference in unknown[:MAX_UNKNOWN]:
            self.findings.tell(
                where,
                f'unknown character "{reference.name}".',
                self._instead(reference),
                at=self._at(where, template.source, reference.source, reference.start),
            )

    def _instead(self, reference: Reference) -> str:
        """What to do about a character that is not known."""
        if "｜" in reference.name:
            return f"“｜” is full-width; a choice is written with |: {reference.source.replace('｜', '|')}."
        hint = did_you_mean(reference.name, self._names) or "Describe who it is under `characters:`."
        return f"{hint} For literal braces write {{{{ and }}}}."

    def _look_for_slips(self, where: Where, template: Template) -> None:
        """Warn of what is written by mistake, once for each text of the file."""
        if not template.source or where in self._looked:
            return
        self._looked.add(where)
        node = self.findings.root.find(where)
        if node.value != template.source:
            return
        for slip in slips_of(template, node):
            at = node.place_of(slip.sign, slip.offset) if slip.sign else None
            self.findings.warn(where, slip.what, slip.todo, at=at)

    def _at(self, where: Where, text: str, snippet: str, offset: int) -> tuple[int, int] | None:
        node = self.findings.root.find(where)
        return node.place_of(snippet, offset) if node.value == text else None

    def _add_appearing(self, template: Template, seen: dict[str, None]) -> None:
        for reference in template.references:
            if reference.name in self.cast and reference.name not in seen:
                seen[reference.name] = None
                self._add_appearing(self.cast[reference.name], seen)
