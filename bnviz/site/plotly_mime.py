"""MyST-NB renderer: a plain plotly figure of a notebook, drawn in the page by plotly.js.

Such a figure holds stored numbers and computes nothing. Until the script has drawn it, and without
JavaScript, its poster stands in its place.
"""

import json
import re
from html import escape
from urllib.parse import quote

from docutils import nodes

from bnviz.figure import theme
from bnviz.poster.draw import poster

__all__ = ["PlotlyRenderer"]

_MIME = "application/vnd.plotly.v1+json"
# what may stay as it is in an address that stands between double quotes; so written, and not as
# base64, a drawing packs to half
_PLAIN = " =':/;,.()-+*!?@[]{}|_~$"


class PlotlyRenderer:
    """Entry point `myst_nb.mime_renderers`.

    MyST-NB asks it in every project of an environment that has `bnviz`. It is given such an output
    only where the extension `bnviz.site.figures` says that plotly's JSON comes first.
    """

    mime_priority_overrides = ()

    @staticmethod
    def handle_mime(renderer, data, inline: bool) -> list[nodes.Element] | None:
        """HTML for one plotly output; None for any other, which leaves it to MyST-NB."""
        if data.mime_type != _MIME or inline:
            return None
        return [nodes.raw("", stored_html(data.content), format="html")]


def stored_html(content: dict) -> str:
    """A `<div class="bnviz-stored">` with two posters and the figure as JSON."""
    figure = {"data": content["data"], "layout": content["layout"]}
    figure["layout"].pop("template", None)
    templates = {mode: theme.template(mode) for mode in ("light", "dark")}
    stored = {"figure": figure, "templates": templates}
    text = json.dumps(stored, separators=(",", ":")).replace("</", "<\\/")
    images = "".join(
        f'<img class="bnviz-poster dark-light only-{mode}-poster" alt="" width="700" '
        f'src="data:image/svg+xml,{quote(poster(figure, mode), safe=_PLAIN)}">'
        for mode in ("light", "dark")
    )
    return (
        f'<div class="bnviz-stored" role="img" aria-label="{escape(_described(figure))}">{images}'
        f'<script type="application/json">{text}</script></div>'
    )


def _described(figure: dict) -> str:
    """The words of a drawing for those who do not see it: its axes, panels and curves.

    `meta={"alt": "..."}` in the layout says it better.
    """
    layout = figure["layout"]
    if alt := (layout.get("meta") or {}).get("alt"):
        return alt
    titles = [v.get("title") for k, v in layout.items() if k[1:5] == "axis"]
    words = {
        "Axes": [t.get("text") if isinstance(t, dict) else t for t in titles],
        "Panels": [a.get("text") for a in layout.get("annotations", [])],
        "Curves": [t.get("name") for t in figure["data"] if t.get("showlegend", True)],
    }
    said = {
        k: list(dict.fromkeys(re.sub(r"<[^>]*>", "", w) for w in v if w)) for k, v in words.items()
    }
    return "A drawing. " + " ".join(f"{k}: {', '.join(v)}." for k, v in said.items() if v)
