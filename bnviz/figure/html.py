"""What stands in a document for a figure, until a host brings it to life."""

import json
from html import escape

from bnviz.figure.explorer import Explorer

__all__ = ["figure_html", "figure_text"]

_NOTE = "Run this cell to make the figure live."
_NOSCRIPT = "This figure computes in your browser, which needs JavaScript."


def figure_text(explorer: Explorer) -> str:
    """One line about an Explorer, the same in every session."""
    return f"bnviz figure {explorer.name!r}: {explorer.title}"


def figure_html(explorer: Explorer, values: dict[str, float | str | bool]) -> str:
    """A `<figure>` with title and caption; start values that were given travel along as JSON.

    >>> from types import SimpleNamespace
    >>> demo = SimpleNamespace(name="demo", title="A < B", caption="Look.")
    >>> figure_html(demo, {"gamma": 2}).split(">")[0]
    '<figure class="bnviz" data-explorer="demo" data-state="static" data-values=\\'{"gamma": 2}\\''
    """
    given = f" data-values='{_quoted(values)}'" if values else ""
    stop = "" if explorer.title.endswith("?") else "."
    return (
        f'<figure class="bnviz" data-explorer="{explorer.name}" data-state="static"{given}>'
        f"<figcaption><strong>{escape(explorer.title)}{stop}</strong> {escape(explorer.caption)}"
        f'</figcaption><p class="bnviz-note">{_NOTE}</p>'
        f"<noscript><p>{_NOSCRIPT}</p></noscript></figure>"
    )


def _quoted(values: dict[str, float | str | bool]) -> str:
    """JSON inside single quotes of HTML."""
    return escape(json.dumps(values, sort_keys=True), quote=False).replace("'", "&#x27;")
