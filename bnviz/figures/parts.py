"""What the templates share: a Plotly figure as plain data, notes, fixed axes.

A template is a dict with fixed axes, empty where an output will be drawn; a host adds
`theme.template`. Traces are named by `uid`.
"""

import base64

import numpy as np
import plotly.graph_objects as go

__all__ = ["as_dict", "centres", "note"]


def as_dict(fig: go.Figure) -> dict:
    """Plain JSON-able data, without plotly's default template."""
    data = fig.to_plotly_json()
    data["layout"].pop("template", None)
    return _plain(data)


def _plain(value):
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
