"""The template of `regularisation`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import BARE, as_dict, note, panel, place, sheet

__all__ = ["regularisation"]

_INK = [[0, "rgba(128,136,144,0.06)"], [1, "rgba(128,136,144,1)"]]
_TOP = 0.7  # of the panel with the classes


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
        **place(2),
    )
    _probabilities(fig, draws)
    fig.update_layout(_layout())
    return as_dict(fig)


def _probabilities(fig: go.Figure, draws: int) -> None:
    ways = ("with BN, in a batch", "with BN, running statistics", "without BN")
    across = np.tile(np.linspace(-0.28, 0.28, draws), 10) + np.repeat(np.arange(10), draws)
    left, right = ([k + shift for k in range(10)] for shift in (-0.38, 0.38))
    mark = {"symbol": "triangle-up", "size": 12, "color": theme.NEUTRAL}
    dots = {"size": 4, "color": theme.BN, "opacity": 0.75}
    square = {"symbol": "square-open", "size": 10, "color": theme.BN}
    cross = {"symbol": "x", "size": 8, "color": theme.PLAIN}
    for uid, name, x, y, marker, hover in (
        ("label", "right class", [0], [-0.045], mark, "the right class<extra></extra>"),
        ("bn-dots", ways[0], across.round(4), None, dots, _share("with BN, in one batch")),
        ("bn-running", ways[1], right, None, square, _share(ways[1])),
        ("plain", ways[2], left, None, cross, _share(ways[2])),
    ):
        fig.add_scatter(
            x=x,
            y=y or [None] * len(x),
            mode="markers",
            uid=uid,
            name=name,
            marker=marker,
            hovertemplate=hover,
        )


def _share(name: str) -> str:
    return f"%{{y:.1%}}<extra>{name}</extra>"


def _layout() -> dict:
    pixels = {"range": [-0.5, 7.5], "showticklabels": False, "constrain": "domain", **BARE}
    classes = {"range": [-0.6, 9.6], "dtick": 1, "showgrid": False, "zeroline": False}
    shares = {"range": [-0.08, 1.04], "tickformat": ".0%", "tickvals": [0, 0.5, 1]}
    notes = [
        note("<b>probability</b> of each class", 0, _TOP, "left", "bottom"),
        note("<b>● with BN</b>, in each batch", 0.3, 0.99, "left", "top", theme.BN),
        note("<b>□ with BN</b>, running statistics", 0.3, 0.92, "left", "top", theme.BN),
        note("<b>× without BN</b>, any batch", 0.3, 0.85, "left", "top", theme.PLAIN),
        note("▲ the right class", 1, _TOP, "right", "bottom"),
    ]
    return {
        **panel(1, [0, 1], [0, _TOP], classes | {"title": {"text": "class"}}, shares),
        **panel(2, [0, 0.24], [0.77, 1], pixels, pixels | {"scaleanchor": "x2"}),
        **sheet(480, 44, 10, 16, 44),
        "annotations": notes,
    }
