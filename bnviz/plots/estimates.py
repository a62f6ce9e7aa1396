"""Which estimate of the statistics serves at inference: the stored `inference-estimates`."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz.figure import theme

__all__ = ["estimates"]

_LOOKS = {
    "ema1000": ("momentum 0.001", theme.BN, "dot", "circle-open"),
    "ema100": ("momentum 0.01", theme.BN, "dash", "triangle-up"),
    "ema10": ("momentum 0.1", theme.BN, "solid", "circle"),
    "ema1": ("momentum 1", theme.NEUTRAL, "dash", "x"),
    "cumulative": ("cumulative", theme.PLAIN, "dot", "star"),
    "population": ("population", theme.THIRD, "solid", "diamond"),
    "testbatch": ("test batch", theme.SECOND, "dash", "square"),
}


def estimates(result: Mapping[str, Any], moments: Mapping[str, str], keys: Sequence[str] = ()):
    """Test accuracy against the batch size, a panel for each moment.

    Args:
        result: `experiments.load("inference-estimates")`.
        moments: title of a panel -> suffix of its columns, such as "20" or "300_shifted".
        keys: which estimates, all if empty.
    """
    sizes = result["grid"]["batch"]
    fig = make_subplots(len(moments), 1, vertical_spacing=0.12, subplot_titles=list(moments))
    for panel, moment in enumerate(moments.values(), start=1):
        for key in keys or _LOOKS:
            label, colour, dash, symbol = _LOOKS[key]
            found = [result["summary"][f"batch{m}"][f"{key}_{moment}_acc"] for m in sizes]
            middle = [f["median"] for f in found]
            fig.add_scatter(
                x=list(sizes),
                y=middle,
                name=label,
                legendgroup=key,
                showlegend=panel == 1,
                mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 2},
                marker={"symbol": symbol, "size": 8, "color": colour},
                error_y={
                    "array": [f["max"] - v for f, v in zip(found, middle, strict=True)],
                    "arrayminus": [v - f["min"] for f, v in zip(found, middle, strict=True)],
                    "width": 3,
                    "thickness": 1,
                },
                hovertemplate="batch %{x}: %{y:.1%}<extra>" + label + "</extra>",
                row=panel,
                col=1,
            )
    fig.update_xaxes(type="log", tickvals=list(sizes), fixedrange=True)
    fig.update_xaxes(title_text="batch size", row=len(moments))
    fig.update_yaxes(range=[0, 1.05], tickformat=".0%", title_text="accuracy", fixedrange=True)
    fig.update_annotations(font_size=13)
    return go.Figure(fig).update_layout(
        template=theme.template("light"),
        height=110 + 255 * len(moments),
        margin={"l": 55, "r": 10, "t": 30, "b": 45},
        legend={"orientation": "h", "y": 1.04, "yanchor": "bottom", "font": {"size": 11}},
    )
