"""The role `{verdict}`: what the ledger says about a claim, as a link to its row.

The verdicts are read once, when all pages are known; a page gets them when it is written.
"""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxRole

from bnviz.site import ledger
from bnviz.site.app import Book

__all__ = ["VerdictRole", "badge", "read_verdicts", "say_verdicts"]

_SAID = re.compile(r'<a class="bnviz-said" data-claim="([^"]*)"></a>')
_LEDGER = "book/ledger"


class VerdictRole(SphinxRole):
    """`{verdict}` with the name of a claim, such as C09."""

    def run(self) -> tuple[list[nodes.Node], list]:
        html = f'<a class="bnviz-said" data-claim="{escape(self.text)}"></a>'
        return [nodes.raw("", html, format="html")], []


def badge(verdict: str) -> str:
    """A verdict with its sign and colour."""
    kind = verdict.replace(" ", "-")
    return f'<span class="bnviz-verdict bnviz-{kind}">{verdict}</span>'


def read_verdicts(app: Book, env) -> None:
    """Note the verdict of every claim; a book without a ledger has none."""
    book = Path(app.srcdir) / "book"
    app.bnviz_verdicts = {claim.id: claim.verdict for claim in ledger.read(book)}


def say_verdicts(app: Book, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Fill in the verdicts that a page speaks of."""

    def link(match: re.Match) -> str:
        name = match[1]
        if name not in app.bnviz_verdicts:
            raise ExtensionError(f"{pagename}: the ledger has no claim {name!r}")
        address = app.builder.get_relative_uri(pagename, _LEDGER)
        return f'<a href="{address}#{name.lower()}">{badge(app.bnviz_verdicts[name])}</a>'

    if "body" in context:
        context["body"] = _SAID.sub(link, context["body"])
