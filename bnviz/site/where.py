"""Under the title of a page: of which book it is, for readers who come by a link to it alone."""

from html import escape
from pathlib import PurePosixPath

from sphinx.application import Sphinx

__all__ = ["say_where"]

# Pages beside the landing page, and what they explain.
_HELP = {"notation": "symbol", "glossary": "word", "troubleshooting": "symptom"}


def say_where(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Name the book, and link to its landing page and to the pages where one looks things up."""
    landing = PurePosixPath(app.config.root_doc)
    if doctree is None or pagename == str(landing):
        return
    address = context["pathto"]
    pages = {str(landing.parent / name): word for name, word in _HELP.items()}
    line = _line(
        app.env.toc_secnumbers.get(pagename, {}).get("", ()),
        _link(address(str(landing)), app.config.html_title),
        [
            _link(address(page), word)
            for page, word in pages.items()
            if page in app.env.found_docs and page != pagename
        ],
    )
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{line}", 1)


def _link(address: str, text: str) -> str:
    return f'<a class="reference internal" href="{escape(address)}">{escape(text)}</a>'


def _line(number: tuple[int, ...], book: str, words: list[str]) -> str:
    """
    >>> _line((6, 1), "Live", ["symbol", "word"])[:48]
    '<p class="bnviz-where">Section 6.1 of Live, a bo'
    >>> _line((), "Live", ["symbol"])[-22:]
    'Stuck on a symbol?</p>'
    >>> _line((), "Live", ["symbol", "word", "symptom"])[-43:]
    'Stuck on a symbol, a word or a symptom?</p>'
    """
    kind = {0: "Part", 1: "Chapter"}.get(len(number), "Section")
    place = " ".join(filter(None, [kind, ".".join(map(str, number))]))
    *others, last = words or [""]
    either = " or ".join(filter(None, [", ".join(f"a {word}" for word in others), f"a {last}"]))
    stuck = f" Stuck on {either}?" if words else ""
    return (
        f'<p class="bnviz-where">{place} of {book}, a book about Batch Normalization (BN) '
        f"with figures that you move.{stuck}</p>"
    )
