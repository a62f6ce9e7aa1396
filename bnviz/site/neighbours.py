"""Below each page: what the neighbouring pages hold, in the words of the landing page's cards."""

from html import escape
from pathlib import PurePosixPath

from docutils import nodes
from sphinx.addnodes import pending_xref

from bnviz.site.app import Book

__all__ = ["announce", "collect_cards"]


def collect_cards(app: Book, env) -> None:
    """The first sentence of each card on the landing page, by the page to which the card leads."""
    app.bnviz_cards = {}
    landing = env.config.root_doc
    for card in env.get_doctree(landing).findall(_is_card):
        texts = [p for p in card.findall(nodes.paragraph) if "sd-card-text" in p["classes"]]
        for link in card.findall(pending_xref):
            page = str(PurePosixPath(landing).parent / link["reftarget"])
            app.bnviz_cards[page] = _first_sentence(" ".join(p.astext() for p in texts))


def _is_card(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("design_component") == "card"


def _first_sentence(text: str) -> str:
    """
    >>> _first_sentence("Why would anybody? Because they can.")
    'Why would anybody?'
    """
    ends = [text.find(mark) for mark in (". ", "? ") if mark in text]
    return " ".join(text[: min(ends, default=len(text)) + 1].split())


def announce(app: Book, pagename, templatename, context, doctree) -> None:
    """Add those sentences to the titles at the foot of a page."""
    neighbours = getattr(app.builder, "relations", {}).get(pagename)
    for key, page in zip(("prev", "next"), (neighbours or ())[1:], strict=False):
        if page in app.bnviz_cards and context.get(key):
            said = f'<span class="bnviz-ahead">{escape(app.bnviz_cards[page])}</span>'
            context[key] = {**context[key], "title": f"{context[key]['title']}{said}"}
