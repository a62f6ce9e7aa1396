"""What a norm costs in time and memory, from the stored experiment `bn-cost`."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz.figure import theme

__all__ = ["saved", "times"]

_NORMS = (("batch", "BN", theme.BN), ("layer", "LayerNorm", theme.SECOND))


def _labels(result: Mapping[str, Any]) -> list[str]:
    words = {"linear": "features", "convolution": "channels"}
    return [f"{row['width']}<br>{words[row['layer']]}" for row in result["rows"]]


def times(result: Mapping[str, Any]) -> go.Figure:
    """Time of layer, norm and ReLU over that of layer and ReLU; forward above, backward below.

    Args:
        result: `experiments.load("bn-cost")`.
    """
    titles = ("forward", "backward")
    fig = make_subplots(2, 1, vertical_spacing=0.2, subplot_titles=titles)
    for panel, direction in enumerate(titles, start=1):
        for norm, label, colour in _NORMS:
            extra = [
                row[f"{norm}_{direction}_us"] / row[f"none_{direction}_us"] - 1
                for row in result["rows"]
            ]
            fig.add_bar(
                x=_labels(result),
                y=extra,
                name=label,
                marker={"color": colour},
                showlegend=panel == 1,
                hovertemplate="%{y:+.0%}<extra>" + label + "</extra>",
                row=panel,
                col=1,
            )
    fig.update_yaxes(tickformat="+.0%", title_text="longer by", fixedrange=True)
    fig.update_xaxes(fixedrange=True)
    return _looks(fig, 520)


def saved(result: Mapping[str, Any]) -> go.Figure:
    """Bytes that autograd keeps, in arrays of activations.

    Args:
        result: `experiments.load("bn-cost")`.
    """
    fig = go.Figure()
    for norm, label, colour in (("none", "none", theme.PLAIN), *_NORMS):
        fig.add_bar(
            x=_labels(result),
            y=[row[f"{norm}_saved_bytes"] / row["array_bytes"] for row in result["rows"]],
            name=label,
            marker={"color": colour},
            hovertemplate="%{y:.2f} arrays<extra>" + label + "</extra>",
        )
    fig.update_yaxes(title_text="arrays kept", fixedrange=True)
    fig.update_xaxes(fixedrange=True)
    return _looks(fig, 320)


def _looks(fig: go.Figure, height: int) -> go.Figure:
    fig.update_annotations(font_size=13)
    return fig.update_layout(
        template=theme.template("light"),
        height=height,
        barmode="group",
        margin={"l": 55, "r": 10, "t": 40, "b": 45},
        legend={"orientation": "h", "x": 0, "y": 1.06, "yanchor": "bottom"},
    )
