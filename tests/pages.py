"""HTML as a tree that tests can select from, without another dependency; and pages open in a browser."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree.ElementTree import Element, TreeBuilder

VOID = {"meta", "img", "link", "br", "hr", "input"}


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tree = TreeBuilder()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tree.start(tag, {name: value or "" for name, value in attrs})
        if tag in VOID:
            self.tree.end(tag)
        else:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes <{self.open[-1:]}> at {self.getpos()}"
        self.open.pop()
        self.tree.end(tag)

    def handle_data(self, data):
        if self.open:
            self.tree.data(data)


def parse(html: str) -> Element:
    """The root of a page whose tags all nest properly."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert not builder.open
    return builder.tree.close()


def select(root: Element, path: str) -> list[Element]:
    """Elements along a path of `tag`, `.class`, `tag.class` or `#id`, each below the one before."""
    found = [root]
    for step in path.split():
        found = [child for element in found for child in element.iter() if child is not element and _fits(child, step)]
    return list(dict.fromkeys(found))


def words(element: Element) -> str:
    """The text of an element and all in it, spaces collapsed."""
    return " ".join("".join(element.itertext()).split())


def _fits(element: Element, step: str) -> bool:
    if step.startswith("#"):
        return element.get("id") == step[1:]
    tag, *classes = step.split(".")
    return tag in ("", element.tag) and set(classes) <= set(element.get("class", "").split())


def reload(page) -> None:
    """Loads a page of playwright's anew, as late as a person would.

    What a page puts into its storage goes to another process. Loaded anew in the same millisecond, it may not find it.
    """
    page.wait_for_timeout(250)
    page.reload()
