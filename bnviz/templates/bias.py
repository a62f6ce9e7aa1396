"""The template of `bias`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, centres, heading, note, panel, place, sheet

__all__ = ["bias"]

_LEFT, _RIGHT = (0.0, 0.47), (0.53, 1.0)
_ABOVE, _BELOW = (0.58, 1.0), (0.0, 0.43)
_LOSSES = (2.38, 2.84)
_HISTOGRAMS = (
    ("plain-z", "z = Wu + b", theme.PLAIN, _LEFT, 1),
    ("bn-y", "BN(z) + β", theme.BN, _RIGHT, 2),
)


def bias(bins: tuple[float, float, int], along: tuple[float, float, int]) -> dict:
    """Above: histograms of z and of BN(z). Below: the loss along b and along beta."""
    fig = go.Figure()
    for uid, title, colour, _, k in _HISTOGRAMS:
        fig.add_scatter(
            x=centres(*bins),
            y=np.zeros(bins[2]),
            mode="lines",
            fill="tozeroy",
            uid=uid,
            name=title,
            line={"color": colour, "width": 1.5},
            hovertemplate="%{x:.2f}: density %{y:.2f}<extra></extra>",
            **place(k),
        )
    _slope(fig, "plain-b", "without BN", theme.PLAIN, "solid", "circle", 3, along)
    _slope(fig, "bn-b", "with BN", theme.BN, "dash", "square", 3, along)
    _slope(fig, "bn-beta", "with BN", theme.BN, "dash", "square", 4, along)
    fig.update_layout(**_layout(bins, along), **sheet(500, 40, 12, 28, 44))
    return as_dict(fig)


def _layout(bins: tuple[float, float, int], along: tuple[float, float, int]) -> dict:
    values = {"range": list(bins[:2]), "dtick": 5, "tickangle": 0, "zeroline": True}
    densities = {"range": [0, 0.75], "nticks": 5, "showticklabels": False, "showgrid": False}
    span = [along[0] - 0.3, along[1] + 0.3]
    layout: dict = {"annotations": []}
    for _, title, colour, domain, k in _HISTOGRAMS:
        layout |= panel(k, domain, _ABOVE, values, densities | {"zeroline": False})
        layout["annotations"].append(heading(title, domain[0], 1.01, colour))
    for k, domain, title in ((3, _LEFT, "b"), (4, _RIGHT, "β")):
        x = {"range": span, "dtick": 2, "tickangle": 0, "zeroline": True, "title": {"text": title}}
        y = {"range": list(_LOSSES), "nticks": 5, "showticklabels": k == 3, "zeroline": False}
        layout |= panel(k, domain, _BELOW, x, y)
        layout["annotations"].append(heading(f"loss along {title}", domain[0], _BELOW[1] + 0.012))
    layout["annotations"] += [
        note("━━ without BN", 0.012, 0.01, "left", "bottom", theme.PLAIN),
        note("━ ━ with BN", 0.99, 0.01, "right", "bottom", theme.BN),
    ]
    return layout


def _slope(fig, uid: str, label: str, colour: str, dash: str, symbol: str, k: int, along) -> None:
    """A loss curve, its tangent at the point of the reader, and that point."""
    low, high, n = along
    at = place(k) | {"name": label}
    fig.add_scatter(
        x=np.linspace(low, high, n).round(6),
        y=np.zeros(n),
        mode="lines",
        uid=f"{uid}-curve",
        line={"color": colour, "width": 1.5, "dash": dash},
        hovertemplate="%{x:.1f}: loss %{y:.3f}<extra>" + label + "</extra>",
        **at,
    )
    fig.add_scatter(
        x=[0.0, 0.0],
        y=[0.0, 0.0],
        mode="lines",
        uid=f"{uid}-tangent",
        line={"color": colour, "width": 5},
        opacity=0.55,
        hoverinfo="skip",
        **at,
    )
    fig.add_scatter(
        x=[0.0],
        y=[0.0],
        mode="markers",
        uid=f"{uid}-point",
        marker={"color": colour, "size": 11, "symbol": symbol},
        hovertemplate="you are here: %{x:.1f}, loss %{y:.3f}<extra>" + label + "</extra>",
        **at,
    )
