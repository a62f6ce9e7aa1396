"""Which page of the book shows which figures, read from the sources."""

import re
from pathlib import Path

import nbformat
import pytest

BOOK = Path(__file__).parent.parent / "book"
_SHOWN = re.compile(r'^show\("([a-z0-9-]+)"', re.MULTILINE)  # in a cell
_EXAMPLE = re.compile(r"^(`{4,})md$.*?^\1$", re.MULTILINE | re.DOTALL)  # Markdown to be read
_DIRECTIVE = re.compile(r"^[`:]{3,}\{explorer\} ([a-z0-9-]+)", re.MULTILINE)  # in Markdown


def _figures(path: Path) -> list[str]:
    if path.suffix == ".md":
        return _DIRECTIVE.findall(_EXAMPLE.sub("", path.read_text(encoding="utf-8")))
    cells = nbformat.read(path, as_version=4).cells
    return [n for c in cells if c.cell_type == "code" for n in _SHOWN.findall(c.source)]


_SOURCES = [p for p in sorted(BOOK.iterdir()) if p.suffix in (".md", ".ipynb")]
# such as {"steps.html": ["normalize", "scale-shift"]}; every page of the book, also without figures
FIGURES = {p.with_suffix(".html").name: _figures(p) for p in _SOURCES}
# page of each figure; the chapter rather than the introduction
PAGE = {name: page for page, names in FIGURES.items() for name in names if page != "intro.html"}


def page_of(item: pytest.Item) -> str:
    """The page that a test reads: of its mark `page`, its parameter `path` or the figure `name`.

    Raises:
        ValueError: it has none of them.
    """
    if mark := item.get_closest_marker("page"):
        return mark.args[0]
    params = item.callspec.params if hasattr(item, "callspec") else {}
    page = params.get("path") or PAGE.get(params.get("name", ""))
    if page is None:
        raise ValueError(
            f"{item.nodeid} has no page: mark it, or call a parameter `path` or `name`"
        )
    return page
