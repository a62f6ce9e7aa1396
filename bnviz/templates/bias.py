"""The template of `bias`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, centres, note, suffix

__all__ = ["bias"]

_LEFT, _RIGHT = (0.0, 0.47), (0.53, 1.0)
_ABOVE, _BELOW = (0.58, 1.0), (0.0, 0.43)
_LOSSES = (2.38, 2.84)


def bias(bins: tuple[float, float, int], along: tuple[float, float, int]) -> dict:
    """Above: histograms of z and of BN(z). Below: the loss along b and along beta."""
    fig = go.Figure()
    low, high, n = bins
    histograms = (
        ("plain-z", "z = Wu + b", theme.PLAIN, _LEFT, 1),
        ("bn-y", "BN(z) + β", theme.BN, _RIGHT, 2),
    )
    layout: dict = {"annotations": []}
    for uid, title, colour, domain, k in histograms:
        layout |= _axes(k, domain, _ABOVE, (low, high), [0, 0.75])
        layout[f"yaxis{suffix(k)}"] |= {"showticklabels": False, "showgrid": False}
        fig.add_scatter(
            x=centres(low, high, n),
            y=np.zeros(n),
            mode="lines",
            fill="tozeroy",
            uid=uid,
            name=title,
            xaxis=f"x{suffix(k)}",
            yaxis=f"y{suffix(k)}",
            line={"color": colour, "width": 1.5},
            hovertemplate="%{x:.2f}: density %{y:.2f}<extra></extra>",
        )
        layout["annotations"].append(
            note(f"<b>{title}</b>", domain[0], 1.01, "left", "bottom", colour)
        )
    for k, domain, title in ((3, _LEFT, "b"), (4, _RIGHT, "β")):
        layout |= _axes(k, domain, _BELOW, (along[0] - 0.3, along[1] + 0.3), list(_LOSSES))
        layout[f"xaxis{k}"]["title"] = {"text": title}
        layout[f"yaxis{k}"]["showticklabels"] = k == 3
        words = note(f"<b>loss along {title}</b>", domain[0], _BELOW[1] + 0.012, "left", "bottom")
        layout["annotations"].append(words)
    _slope(fig, "plain-b", "without BN", theme.PLAIN, "solid", "circle", 3, along)
    _slope(fig, "bn-b", "with BN", theme.BN, "dash", "square", 3, along)
    _slope(fig, "bn-beta", "with BN", theme.BN, "dash", "square", 4, along)
    layout["annotations"] += [
        _beside("without BN", theme.PLAIN, 0.012, 0.01, "left", "bottom"),
        _beside("with BN", theme.BN, 0.99, 0.01, "right", "bottom"),
    ]
    layout |= {
        "height": 500,
        "margin": {"l": 40, "r": 12, "t": 28, "b": 44},
        "showlegend": False,
    }
    fig.update_layout(layout)
    return as_dict(fig)


def _beside(text: str, colour: str, x: float, y: float, xanchor: str, yanchor: str) -> dict:
    return note(("━ ━ " if text == "with BN" else "━━ ") + text, x, y, xanchor, yanchor, colour)


def _axes(k: int, domain, rows, span, heights) -> dict:
    return {
        f"xaxis{suffix(k)}": {
            "domain": list(domain),
            "anchor": f"y{suffix(k)}",
            "range": list(span),
            "dtick": 5 if span[1] > 5 else 2,
            "tickangle": 0,
            "fixedrange": True,
            "zeroline": True,
        },
        f"yaxis{suffix(k)}": {
            "domain": list(rows),
            "anchor": f"x{suffix(k)}",
            "range": heights,
            "nticks": 5,
            "fixedrange": True,
            "zeroline": False,
        },
    }


def _slope(fig, uid: str, label: str, colour: str, dash: str, symbol: str, k: int, along) -> None:
    """A loss curve, its tangent at the point of the reader, and that point."""
    low, high, n = along
    place = {"xaxis": f"x{k}", "yaxis": f"y{k}", "name": label}
    fig.add_scatter(
        x=np.linspace(low, high, n).round(6),
        y=np.zeros(n),
        mode="lines",
        uid=f"{uid}-curve",
        line={"color": colour, "width": 1.5, "dash": dash},
        hovertemplate="%{x:.1f}: loss %{y:.3f}<extra>" + label + "</extra>",
        **place,
    )
    fig.add_scatter(
        x=[0.0, 0.0],
        y=[0.0, 0.0],
        mode="lines",
        uid=f"{uid}-tangent",
        line={"color": colour, "width": 5},
        opacity=0.55,
        hoverinfo="skip",
        **place,
    )
    fig.add_scatter(
        x=[0.0],
        y=[0.0],
        mode="markers",
        uid=f"{uid}-point",
        marker={"color": colour, "size": 11, "symbol": symbol},
        hovertemplate="you are here: %{x:.1f}, loss %{y:.3f}<extra>" + label + "</extra>",
        **place,
    )
