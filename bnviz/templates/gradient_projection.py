"""The template of `gradient-projection`."""

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, heading, note, panel, place, sheet

__all__ = ["gradient_projection"]

_LEFT, _RIGHT = [0, 0.47], [0.53, 1]
_UPPER, _LOWER = [0.44, 1], [0, 0.3]
_BARS, _ANGLES = [0, 0.42], [0.64, 1]


def gradient_projection(largest: int, span: float) -> dict:
    """dy with BN's line and what is left of it, above lengths and angles."""
    fig = go.Figure()
    _scatter(fig, largest, span)
    _lengths(fig)
    _angles(fig)
    titles = (
        ("dy, and BN's line", _LEFT, _UPPER),
        ("what is left", _RIGHT, _UPPER),
        ("lengths", _BARS, _LOWER),
        ("angles", _ANGLES, _LOWER),
    )
    legend = (("■ dy", 0.99, theme.NEUTRAL), ("■ left", 0.86, theme.BN))
    fig.update_layout(
        annotations=[
            *(heading(text, x[0], y[1]) for text, x, y in titles),
            *(note(t, _BARS[1], y * _LOWER[1], "right", "top", c) for t, y, c in legend),
        ],
        barmode="overlay",
        **sheet(520, 38, 12, 24, 42),
    )
    return as_dict(fig)


def _scatter(fig, n: int, span: float) -> None:
    ends = [-span, span]
    for uid, colour, dash, width in (
        ("level", theme.SECOND, "dot", 1.5),
        ("line", theme.THIRD, "solid", 2.5),
    ):
        fig.add_scatter(
            x=ends,
            y=[0, 0],
            uid=uid,
            mode="lines",
            line={"color": colour, "dash": dash, "width": width},
            hoverinfo="skip",
        )
    for k, uid, colour in ((1, "dy", theme.NEUTRAL), (2, "left", theme.BN)):
        fig.add_scatter(
            x=[None] * (3 * n),
            y=[None] * (3 * n),
            uid=f"{uid}-stems",
            mode="lines",
            line={"color": theme.BN, "width": 1.5},
            hoverinfo="skip",
            **place(k),
        )
        fig.add_scatter(
            x=[None] * n,
            y=[None] * n,
            uid=f"{uid}-points",
            mode="markers",
            marker={"color": colour, "size": 7},
            hovertemplate="x̂ %{x:.2f}: %{y:.2f}<extra></extra>",
            **place(k),
        )
    x = {"range": ends, "dtick": 2, "tick0": 0, "title": {"text": "x̂"}}
    y = {"range": [-5, 5], "dtick": 2}
    fig.update_layout(panel(1, _LEFT, _UPPER, x, y))
    fig.update_layout(panel(2, _RIGHT, _UPPER, x, y | {"showticklabels": False}))


def _lengths(fig) -> None:
    for uid, colour, shift in (("before", theme.NEUTRAL, -0.19), ("after", theme.BN, 0.19)):
        fig.add_bar(
            x=[k + shift for k in range(3)],
            y=[0] * 3,
            width=0.34,
            uid=uid,
            name=uid,
            marker={"color": colour},
            **place(3),
            hovertemplate="%{y:.2f}<extra>" + uid + "</extra>",
        )
    parts = {"tickvals": [0, 1, 2], "ticktext": ["1", "x̂", "rest"], "title": {"text": "along"}}
    x, y = {"range": [-0.5, 2.5], **parts}, {"range": [0, 2.3], "tickvals": [0, 0.5, 1, 1.5]}
    fig.update_layout(panel(3, _BARS, _LOWER, x, y))


def _angles(fig) -> None:
    for uid, colour, symbol, rows in (
        ("dy", theme.NEUTRAL, "circle", [4, 1.5]),
        ("left", theme.BN, "diamond", [3, 0.5]),
    ):
        fig.add_scatter(
            x=[None, None],
            y=rows,
            uid=f"{uid}-angles",
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 10},
            **place(4),
            hovertemplate="%{x:.1f}°<extra>" + uid + "</extra>",
        )
    degrees = {"range": [-10, 190], "tickvals": [0, 90, 180], "title": {"text": "degrees"}}
    pairs = ["dy to 1", "left to 1", "dy to x̂", "left to x̂"]
    rows = {"range": [-0.2, 4.7], "tickvals": [4, 3, 1.5, 0.5], "ticktext": pairs}
    plain = {"zeroline": False}
    rows |= {"showgrid": False}
    fig.update_layout(panel(4, _ANGLES, _LOWER, degrees | plain, rows | plain))
