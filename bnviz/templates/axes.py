"""The template of `axes`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import BARE, as_dict, sheet

__all__ = ["axes"]


def axes(labels: list[int], side: int, channels: int) -> dict:
    """Blocks of cells, rows of digits by columns of channels, and the means at their ends."""
    fig = go.Figure()
    m, step = len(labels), side + 1
    rows, columns = (m + 1) * step - 1, (channels + 1) * step - 1
    across = np.arange(channels + 1) * step + (side - 1) / 2  # middles of the blocks
    up = np.arange(m + 1) * step + (side - 1) / 2
    _cells(fig, rows, columns, across, up)
    _lines(fig, rows, columns, side, m)
    outline = {"type": "rect", "line": {"color": theme.NEUTRAL, "width": 0.5}, "opacity": 0.6}
    corners = [(c * step - 0.5, r * step - 0.5) for c in range(channels) for r in range(1, m + 1)]
    shared = {"fixedrange": True, "tickangle": 0, **BARE}
    fig.update_layout(
        xaxis={
            "side": "top",
            "range": [-0.8, columns - 0.2],
            "tickvals": across.tolist(),
            "ticktext": [*(str(k + 1) for k in range(channels)), "mean"],
            "title": {"text": "feature or channel"},
            **shared,
        },
        yaxis={
            "range": [-0.8, rows - 0.2],
            "tickvals": up.tolist(),
            "ticktext": ["mean", *(f"a “{label}”" for label in reversed(labels))],
            **shared,
        },
        shapes=[dict(outline, x0=x, x1=x + side, y0=y, y1=y + side) for x, y in corners],
        **sheet(470, 44, 10, 44, 8),
    )
    return as_dict(fig)


def _cells(fig, rows: int, columns: int, across, up) -> None:
    """Two layers of colours, and numbers in the middles of the blocks that hold a mean."""
    cells = {"x": np.arange(columns), "y": np.arange(rows), "z": np.zeros((rows, columns))}
    look = {"zmin": -2.5, "zmax": 2.5, "showscale": False, "hoverinfo": "skip"}
    fig.add_heatmap(uid="pale", colorscale=theme.SIGNED_PALE_SCALE, **cells, **look)
    fig.add_heatmap(uid="strong", colorscale=theme.SIGNED_SCALE, **cells, **look)
    clear = "rgba(128,128,128,0)"
    fig.add_heatmap(
        x=across,
        y=up,
        z=np.zeros((len(up), len(across))),
        uid="numbers",
        colorscale=[[0, clear], [1, clear]],
        texttemplate="%{z:.2f}",
        textfont={"size": 13},
        **look,
    )


def _lines(fig, rows: int, columns: int, side: int, m: int) -> None:
    """What divides the values from their means, and a frame around what one mean is taken over."""
    right = columns - side - 1
    fig.add_scatter(
        x=[-0.5, columns - 0.5, None, right, right],
        y=[side, side, None, -0.5, rows - 0.5],
        mode="lines",
        uid="divider",
        line={"color": theme.NEUTRAL, "width": 1},
        hoverinfo="skip",
    )
    fig.add_scatter(
        x=[0] * 6 * (m + 1),
        y=[0] * 6 * (m + 1),
        mode="lines",
        uid="frame",
        line={"color": theme.BN, "width": 2.5},
        hoverinfo="skip",
    )
