"""The template of `covariate-shift`."""

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, note, place, sheet

__all__ = ["covariate_shift"]

_KINDS = (("rose", theme.SECOND, "circle"), ("other", theme.THIRD, "x"))


def covariate_shift(line: list[float]) -> dict:
    """The plane of two features, curves over `line` in it, and two bars of accuracy beside it."""
    fig = go.Figure()
    _lines(fig, line)
    for side, size, opacity in (("train", 6, 0.6), ("test", 7, 0.9)):
        for kind, colour, symbol in _KINDS:
            look = {"size": size, "color": colour, "opacity": opacity}
            look["symbol"] = f"{symbol}-open" if side == "train" else symbol
            _dots(fig, f"{side}-{kind}", look, "%{x:.1f}, %{y:.1f}")
    for side in ("train", "test"):
        ring = {"size": 11, "color": theme.NEUTRAL, "symbol": "circle-open"}
        _dots(fig, f"{side}-wrong", ring, "a mistake")
    fig.add_bar(
        x=["train", "test"],
        y=[0, 0],
        uid="accuracy",
        **place(2),
        width=0.7,
        marker_color=theme.NEUTRAL,
        hovertemplate="%{x}: %{y:.0%}<extra></extra>",
    )
    fig.update_layout(_layout(line[0], line[-1]))
    return as_dict(fig)


def _lines(fig: go.Figure, line: list[float]) -> None:
    """What the classifier calls a rose, its boundary, and the true rule."""
    quiet = {"mode": "lines", "x": line, "y": [0.0] * len(line), "hoverinfo": "skip"}
    fig.add_scatter(uid="edge", line={"width": 0}, **quiet)
    shade = "rgba(154,109,215,0.12)"
    boundary = {"color": theme.SECOND, "width": 3}
    fig.add_scatter(uid="boundary", line=boundary, fill="tonexty", fillcolor=shade, **quiet)
    fig.add_scatter(uid="rule", line={"color": theme.NEUTRAL, "width": 2, "dash": "dot"}, **quiet)


def _dots(fig: go.Figure, uid: str, marker: dict, hover: str) -> None:
    template = f"{hover}<extra></extra>"
    fig.add_scatter(x=[], y=[], mode="markers", uid=uid, marker=marker, hovertemplate=template)


def _layout(low: float, high: float) -> dict:
    fixed = {"fixedrange": True}
    return {
        "xaxis": {"domain": [0, 0.75], "range": [low, high], "title": "feature 1", **fixed},
        "yaxis": {"range": [-4.5, 4.5], "title": "feature 2", **fixed},
        "xaxis2": {
            "domain": [0.79, 1],
            "anchor": "y2",
            "type": "category",
            "range": [-0.6, 1.6],
            "tickangle": 0,
            **fixed,
        },
        "yaxis2": {
            "anchor": "x2",
            "side": "right",
            "range": [0, 1.05],
            "tickvals": [0, 0.5, 1],
            "tickformat": ".0%",
            **fixed,
        },
        "annotations": [
            note("● <b>rose</b>", 0, 1.01, "left", "bottom", theme.SECOND),
            note("✕ <b>not a rose</b>", 0.2, 1.01, "left", "bottom", theme.THIRD),
            note("<b>correct</b>", 1, 1.01, "right", "bottom"),
        ],
        **sheet(420, 38, 38, 28, 42),
    }
