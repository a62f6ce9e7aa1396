"""The template of `regularisation`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, note

__all__ = ["regularisation"]

_INK = [[0, "rgba(128,136,144,0.06)"], [1, "rgba(128,136,144,1)"]]


def regularisation(draws: int) -> dict:
    """The image, and the probability of each class in every batch, side by side in its column."""
    fig = go.Figure()
    fig.add_heatmap(
        x=list(range(8)),
        y=list(range(8)),
        z=np.zeros((8, 8)),
        uid="picture",
        name="image",
        colorscale=_INK,
        zmin=-0.9,
        zmax=1.8,
        showscale=False,
        hoverinfo="skip",
        xaxis="x2",
        yaxis="y2",
    )
    fig.add_scatter(
        x=[0],
        y=[-0.045],
        mode="markers",
        uid="label",
        name="right class",
        marker={"symbol": "triangle-up", "size": 12, "color": theme.NEUTRAL},
        hovertemplate="the right class<extra></extra>",
    )
    across = np.tile(np.linspace(-0.28, 0.28, draws), 10) + np.repeat(np.arange(10), draws)
    fig.add_scatter(
        x=np.round(across, 4),
        y=[None] * (10 * draws),
        mode="markers",
        uid="bn-dots",
        name="with BN, in a batch",
        marker={"size": 4, "color": theme.BN, "opacity": 0.75},
        hovertemplate="%{y:.1%}<extra>with BN, in one batch</extra>",
    )
    for uid, label, colour, symbol, size, shift in (
        ("bn-running", "with BN, running statistics", theme.BN, "square-open", 10, 0.38),
        ("plain", "without BN", theme.PLAIN, "x", 8, -0.38),
    ):
        fig.add_scatter(
            x=[k + shift for k in range(10)],
            y=[None] * 10,
            mode="markers",
            uid=uid,
            name=label,
            marker={"symbol": symbol, "size": size, "color": colour},
            hovertemplate="%{y:.1%}<extra>" + label + "</extra>",
        )
    bare = {
        "showticklabels": False,
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
        "ticks": "",
        "constrain": "domain",
    }
    fig.update_layout(
        height=480,
        margin={"l": 44, "r": 10, "t": 16, "b": 44},
        showlegend=False,
        xaxis={"range": [-0.6, 9.6], "dtick": 1, "showgrid": False, "zeroline": False,
               "fixedrange": True, "title": {"text": "class"}, "domain": [0, 1], "anchor": "y"},
        yaxis={"range": [-0.08, 1.04], "tickformat": ".0%", "tickvals": [0, 0.5, 1],
               "fixedrange": True, "domain": [0, 0.7], "anchor": "x"},
        xaxis2={"range": [-0.5, 7.5], "domain": [0, 0.24], "anchor": "y2", **bare},
        yaxis2={"range": [-0.5, 7.5], "domain": [0.77, 1], "anchor": "x2", **bare,
                "scaleanchor": "x2"},
        annotations=[
            note("<b>probability</b> of each class", 0, 0.7, "left", "bottom"),
            note("<b>● with BN</b>, in each batch", 0.3, 0.99, "left", "top", theme.BN),
            note("<b>□ with BN</b>, running statistics", 0.3, 0.92, "left", "top", theme.BN),
            note("<b>× without BN</b>, any batch", 0.3, 0.85, "left", "top", theme.PLAIN),
            note("▲ the right class", 1, 0.7, "right", "bottom"),
        ],
    )  # fmt: skip
    return as_dict(fig)
