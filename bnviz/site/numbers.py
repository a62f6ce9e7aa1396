"""Figures have a number in their chapter, and the role `{fig}` refers to them."""

import re
from collections.abc import Iterator
from html import escape

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxRole

from bnviz import explorers
from bnviz.site import shown
from bnviz.site.app import Book

__all__ = ["FigureRole", "number_figures", "refer"]

_REFERENCE = re.compile(r'<a class="bnviz-fig" data-figure="([a-z0-9-]+)"></a>')


class FigureRole(SphinxRole):
    """`{fig}` with the name of a figure: a link that says its number, such as Figure 2.1.

    Where no chapter has a number, it says the figure's title.
    """

    def run(self) -> tuple[list[nodes.Node], list]:
        html = f'<a class="bnviz-fig" data-figure="{escape(self.text)}"></a>'
        return [nodes.raw("", html, format="html")], []


def number_figures(app: Book, env) -> None:
    """Number the figures in the order of the book: (page, figure) -> "2.1".

    The parts of a chapter go on with its numbers. A page that belongs to no chapter, such as the
    introduction, shows its figures without a number.
    """
    app.bnviz_numbers, counts = {}, {}
    for page, chapter in _pages(env, env.config.root_doc, None):
        for name in shown.on_page(env, page) if chapter else ():
            counts[chapter] = counts.get(chapter, 0) + 1
            app.bnviz_numbers[page, name] = f"{chapter}.{counts[chapter]}"


def _pages(env, page: str, chapter: int | None) -> Iterator[tuple[str, int | None]]:
    """Pages in the order of the book, with the number of the chapter to which they belong."""
    chapter = env.toc_secnumbers.get(page, {}).get("", (chapter,))[0]
    yield page, chapter
    for child in env.toctree_includes.get(page, ()):
        yield from _pages(env, child, chapter)


def refer(app: Book, page: str, body: str) -> str:
    """Fill in the references to figures."""

    def link(match: re.Match) -> str:
        name = match[1]
        home, text = _place(app, name)
        if not home:
            raise ExtensionError(f"{page}: no page shows a figure called {name!r}")
        address = app.builder.get_relative_uri(page, home) if home != page else ""
        return f'<a class="bnviz-fig" href="{address}#{name}">{text}</a>'

    return _REFERENCE.sub(link, body)


def _place(app: Book, name: str) -> tuple[str, str]:
    """The page that shows a figure, and what a link to it says; ("", "") if none does."""
    for (home, figure), number in app.bnviz_numbers.items():
        if figure == name:
            return home, f"Figure {number}"
    pages = (p for p in sorted(app.env.found_docs) if name in shown.on_page(app.env, p))
    home = next(pages, "")
    return home, escape(explorers.get(name).title) if home else ""
