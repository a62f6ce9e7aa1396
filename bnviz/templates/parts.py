"""What the templates share: a Plotly figure as plain data, its panels, notes, tables, curves.

A template is a dict with fixed axes, empty where an output will be drawn; a host adds
`theme.template`. Traces are named by `uid`. Axes are counted as plotly does: number k is xk and yk.
"""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme

__all__ = [
    "BARE",
    "as_dict",
    "centres",
    "curve",
    "heading",
    "note",
    "pale",
    "panel",
    "place",
    "sheet",
    "suffix",
    "table",
    "time_axis",
    "whisker",
]

BARE = {"ticks": "", "showgrid": False, "zeroline": False}  # an axis with nothing but words


def as_dict(fig: go.Figure) -> dict:
    """Plain JSON-able data, without plotly's default template."""
    data = fig.to_plotly_json()
    data["layout"].pop("template", None)
    return _plain(data)


def _plain(value: Any) -> Any:
    """Lists for arrays, also for those that plotly has packed as base64."""
    if isinstance(value, dict) and "bdata" in value:
        return np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"]).tolist()
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def centres(low: float, high: float, bins: int) -> np.ndarray:
    """Middles of equally wide bins, (bins,)."""
    return np.round(low + (high - low) / bins * (np.arange(bins) + 0.5), 6)


def note(text, x, y, xanchor, yanchor, colour=None) -> dict:
    """An annotation at a place that counts along the paper, without an arrow."""
    font = {"font": {"color": colour, "size": 13}} if colour else {}
    return {
        "text": text,
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": xanchor,
        "yanchor": yanchor,
        "showarrow": False,
        **font,
    }


def heading(text: str, x: float, y: float, colour: str | None = None) -> dict:
    """A note in bold that begins at x and stands on y, such as the upper left corner of a panel."""
    return note(f"<b>{text}</b>", x, y, "left", "bottom", colour)


def sheet(height: int, left: int, right: int, top: int, bottom: int) -> dict:
    """The part of a layout that says how high a figure is and how wide its margins are."""
    margin = {"l": left, "r": right, "t": top, "b": bottom}
    return {"height": height, "margin": margin, "showlegend": False}


def panel(k: int, across: Sequence[float] | None, up: Sequence[float], x: dict, y: dict) -> dict:
    """The part of a layout that makes the axes number k, which a reader cannot move.

    Args:
        across, up: from where to where, along the paper; None leaves the whole width.
        x, y: what else an axis is.
    """
    n = suffix(k)
    width = {} if across is None else {"domain": list(across)}
    return {
        f"xaxis{n}": {**width, "anchor": f"y{n}", "fixedrange": True, **x},
        f"yaxis{n}": {"domain": list(up), "anchor": f"x{n}", "fixedrange": True, **y},
    }


def place(k: int) -> dict:
    """The part of a trace that puts it on the axes number k."""
    return {"xaxis": f"x{suffix(k)}", "yaxis": f"y{suffix(k)}"}


def suffix(k: int) -> str:
    """How plotly counts axes: x, x2, x3, ..."""
    return "" if k == 1 else str(k)


def pale(colour: str, opacity: float) -> str:
    """A colour that lets through what lies under it, for bands.

    >>> pale("#ff8000", 0.3)
    'rgba(255,128,0,0.3)'
    """
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{opacity})"


def time_axis(k: int, domain, *, show: bool = True, title: str = "training step") -> dict:
    """The x axis number k, which counts training steps; unless shown, it is bare."""
    axis = {
        "domain": list(domain),
        "anchor": f"y{suffix(k)}",
        "range": [0, 240],
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "nticks": 4,
        "tickangle": 0,
        "ticks": "outside" if show else "",
        "showticklabels": show,
    }
    return axis | ({"title": {"text": title}} if show and title else {})


def curve(uid: str, k: int, line: dict, name: str, hover: str = "", number: str = ".2f") -> dict:
    """A scatter trace on the axes number k, to which every training step appends a value.

    Args:
        uid, k, line: of the trace; `line` holds colour, width and dash.
        name: what it is called; `hover`, unless empty, is shorter.
        number: format of its values.
    """
    return {
        "x": [],
        "y": [],
        "mode": "lines",
        "uid": uid,
        "name": name,
        **place(k),
        "line": line,
        "hovertemplate": f"step %{{x:.0f}}: %{{y:{number}}}<extra>{hover or name}</extra>",
    }


def table(limit: float, number: str = ".2f") -> dict:
    """The part of a heatmap that writes numbers on it, coloured by sign, palest at 0.

    Args:
        limit: the size from which on a colour is full.
        number: format of the numbers.
    """
    return {
        "colorscale": theme.SIGNED_SCALE,
        "zmin": -limit,
        "zmax": limit,
        "showscale": False,
        "texttemplate": f"%{{z:{number}}}",
    }


def whisker(uid: str, y: float, colour: str, name: str, hover: str = "%{x:.2f}", dot=9) -> dict:
    """A scatter trace: a line from mean - std to mean + std at height y, with a dot at the mean."""
    return {
        "x": [0] * 3,
        "y": [y] * 3,
        "mode": "lines+markers",
        "uid": uid,
        "name": name,
        "line": {"color": colour, "width": 2.5},
        "marker": {"size": [1, dot, 1], "color": colour},
        "hovertemplate": f"{hover}<extra></extra>",
    }
