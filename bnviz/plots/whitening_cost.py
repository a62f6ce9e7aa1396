"""What whitening costs against BN, from the stored experiment `whitening-cost`."""

from typing import Any

import plotly.graph_objects as go

from bnviz.figure import theme

__all__ = ["whitening_cost"]


def whitening_cost(result: dict[str, Any]) -> go.Figure:
    """Ratios against width on log-log axes: the operations counted, the times measured.

    Args:
        result: `experiments.load("whitening-cost")`.
    """
    rows = result["rows"]
    widths = [r["width"] for r in rows]
    fig = go.Figure()
    curves = (
        ("flops_ratio", "whitening / BN, operations", theme.NEUTRAL, "dot", "circle-open"),
        ("ratio", "whitening / BN, time", theme.SECOND, "solid", "diamond"),
        ("to_linear", "whitening / linear layer, time", theme.THIRD, "dash", "triangle-up"),
        ("bn_to_linear", "BN / linear layer, time", theme.BN, "solid", "square"),
    )
    for key, label, colour, dash, symbol in curves:
        y = [r[key] for r in rows]
        fig.add_scatter(
            x=widths,
            y=y,
            mode="lines+markers",
            name=label,
            line={"color": colour, "width": 2, "dash": dash},
            marker={"symbol": symbol, "size": 8, "color": colour},
            hovertemplate="width %{x}: %{y:.3g}<extra>" + label + "</extra>",
        )
    ticks = [0.1, 1, 10, 100, 1000]
    fig.update_xaxes(
        type="log",
        tickvals=widths,
        ticktext=[str(w) for w in widths],
        title_text="width of the layer",
        fixedrange=True,
    )
    fig.update_yaxes(
        type="log",
        range=[-1.3, 3.5],
        tickvals=ticks,
        ticktext=[f"{t:g}" for t in ticks],
        title_text="ratio",
        fixedrange=True,
    )
    return fig.update_layout(
        template=theme.template("light"),
        height=440,
        margin={"l": 50, "r": 12, "t": 10, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
