"""How the rate of training falls with the size of the network, from the benchmark `growth`."""

from typing import Any

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import suffix

__all__ = ["growth"]

_PANELS = {"width": "units in a layer", "depth": "hidden layers", "batch": "batch size"}
_SIDES = (
    ("ours", "this page", theme.BN, "solid", "square"),
    ("theirs", "PyTorch, eager", theme.NEUTRAL, "dash", "circle"),
)


def growth(result: dict[str, Any]) -> go.Figure:
    """Steps a second against width, depth and batch size, on log-log axes with the same scale.

    Args:
        result: `bench.results.load("growth")`.
    """
    fig = go.Figure()
    gap = 0.05
    width = (1 - 2 * gap) / 3
    for k, (axis, title) in enumerate(_PANELS.items()):
        number = suffix(k + 1)
        rows = [r for r in result["rows"] if r["what"].startswith(f"{axis} ")]
        sizes = [r["more"][axis] for r in rows]
        for key, label, colour, dash, symbol in _SIDES:
            rates = [r[key] for r in rows]
            fig.add_scatter(
                x=sizes,
                y=rates,
                xaxis=f"x{number}",
                yaxis=f"y{number}",
                mode="lines+markers",
                name=label,
                showlegend=k == 0,
                line={"color": colour, "width": 2, "dash": dash},
                marker={"symbol": symbol, "size": 7, "color": colour},
                hovertemplate=f"{axis} %{{x}}: %{{y:.0f}} steps/s<extra>{label}</extra>",
            )
        left = k * (width + gap)
        fig.layout[f"xaxis{number}"] = {
            "type": "log",
            "domain": [left, left + width],
            "anchor": f"y{number}",
            "tickvals": sizes,
            "ticktext": [f"{s:g}" for s in sizes],
            "title": {"text": title},
            "fixedrange": True,
        }
        fig.layout[f"yaxis{number}"] = {
            "type": "log",
            "range": [1.5, 4],
            "anchor": f"x{number}",
            "tickvals": [100, 1000, 10000],
            "ticktext": ["100", "1,000", "10,000"],
            "showticklabels": k == 0,
            "title": {"text": "steps a second" if k == 0 else ""},
            "fixedrange": True,
        }
    return fig.update_layout(
        template=theme.template("light"),
        height=320,
        margin={"l": 64, "r": 12, "t": 10, "b": 48},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
