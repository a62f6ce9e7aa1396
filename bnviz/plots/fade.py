"""How much of the spread a layer hands on, against the initial scale: measured and by formula."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bnviz.figure import theme

__all__ = ["fade"]

_LOOKS = {
    "sigmoid": (theme.PLAIN, "circle"),
    "tanh": (theme.SECOND, "diamond"),
    "relu": (theme.THIRD, "square"),
}


def fade(rows: Sequence[dict[str, Any]]) -> go.Figure:
    """Marks are measured ratios, lines the formula; below 1 the signal fades.

    Args:
        rows: dicts with "activation", "scale", "measured", "formula", by activation and scale.
    """
    fig = go.Figure()
    for activation, (colour, symbol) in _LOOKS.items():
        mine = [r for r in rows if r["activation"] == activation]
        name = "ReLU" if activation == "relu" else activation
        for key, mode in (("formula", "lines"), ("measured", "markers")):
            fig.add_scatter(
                x=[r["scale"] for r in mine],
                y=[r[key] for r in mine],
                mode=mode,
                name=f"{name}, {key}",
                line={"color": colour, "width": 1.5, "dash": "dash"},
                marker={"color": colour, "symbol": symbol, "size": 9},
                hovertemplate="scale %{x}: %{y:.2f}<extra>%{fullData.name}</extra>",
            )
    fig.add_hline(y=1, line={"color": theme.NEUTRAL, "width": 1, "dash": "dot"})
    scales = sorted({r["scale"] for r in rows})
    fig.update_xaxes(
        type="log",
        tickvals=scales,
        ticktext=[f"{s:g}" for s in scales],
        title_text="initial scale s",
        fixedrange=True,
    )
    ticks = [0.1, 0.2, 0.5, 1, 2, 5]
    fig.update_yaxes(
        type="log",
        range=[-1.1, 0.8],
        tickvals=ticks,
        ticktext=[f"{t:g}" for t in ticks],
        title_text="spread of a layer / of the one before",
        fixedrange=True,
    )
    return fig.update_layout(
        template=theme.template("light"),
        height=380,
        margin={"l": 50, "r": 12, "t": 10, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
