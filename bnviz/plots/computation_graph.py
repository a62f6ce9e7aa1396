"""The graph of BN's forward pass: what is computed from what, and the three roads back to x."""

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict

__all__ = ["computation_graph"]

# name -> (label, middle of its box, half width); x runs from 0 to 10, y from 0 to 11
_NODES = {
    "x": ("x", (2.9, 10.3), 1.15),
    "mu": ("μ", (7.6, 9.0), 1.15),
    "centred": ("x − μ", (2.9, 7.6), 1.15),
    "var": ("σ²", (7.6, 6.6), 1.15),
    "inv_std": ("1/√(σ² + ε)", (7.6, 4.6), 1.8),
    "x_hat": ("x̂", (2.9, 3.5), 1.15),
    "affine": ("γ, β", (7.6, 1.6), 1.15),
    "y": ("y", (2.9, 0.6), 1.15),
}
_HALF = 0.5  # height of a box
_DIRECT, _VAR, _MU, _PLAIN = (
    (theme.BN, "solid"),
    (theme.SECOND, "dash"),
    (theme.THIRD, "dot"),
    (theme.NEUTRAL, "solid"),
)
# from, to, derivative of the one by the other, place of that label, its anchor, road
_EDGES = (
    ("x", "centred", "1", (2.65, 8.95), "right", _DIRECT),
    ("x", "mu", "1/m", (5.75, 10.05), "left", _MU),
    ("mu", "centred", "−1", (5.75, 8.0), "left", _MU),
    ("centred", "var", "2(x − μ)/m", (5.6, 6.4), "right", _VAR),
    ("var", "inv_std", "−½ (σ² + ε)<sup>−3/2</sup>", (7.4, 5.6), "right", _VAR),
    ("inv_std", "x_hat", "x − μ", (5.3, 3.6), "left", _VAR),
    ("centred", "x_hat", "1/√(σ² + ε)", (2.65, 5.55), "right", _DIRECT),
    ("x_hat", "y", "γ", (2.65, 2.05), "right", _DIRECT),
    ("affine", "y", "x̂ for γ, 1 for β", (5.1, 0.65), "left", _PLAIN),
)
Place = tuple[float, float]
_ASPECT = 0.75  # height of a unit of y over the width of a unit of x, about


def computation_graph() -> dict:
    """Boxes and arrows, forward; each arrow carries the derivative that the way back multiplies."""
    fig = go.Figure()
    for start, end, text, place, anchor, road in _EDGES:
        colour, dash = road
        _arrow(fig, *_ends(start, end), colour, dash)
        _write(fig, text, place, anchor, colour)
    for label, (x, y), half in _NODES.values():
        left, right, low, high = x - half, x + half, y - _HALF, y + _HALF
        fig.add_scatter(
            x=[left, right, right, left, left],
            y=[low, low, high, high, low],
            mode="lines",
            line={"color": theme.NEUTRAL, "width": 1.5},
            hoverinfo="skip",
        )
        _write(fig, f"<b>{label}</b>", (x, y), "center")
    hidden = {"visible": False, "fixedrange": True}
    fig.update_layout(
        xaxis={"range": [0, 10], **hidden},
        yaxis={"range": [0, 11], **hidden},
        height=460,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        showlegend=False,
    )
    return as_dict(fig)


def _ends(start: str, end: str) -> tuple[Place, Place]:
    """Where an arrow leaves one box and meets the other."""
    (_, (x0, y0), half0), (_, (x1, y1), half1) = _NODES[start], _NODES[end]
    if x0 == x1:
        return (x0, y0 - _HALF), (x1, y1 + _HALF)
    side = 1 if x1 > x0 else -1
    return (x0 + side * half0, y0), (x1 - side * half1, y1)


def _arrow(fig, start: Place, end: Place, colour: str, dash: str) -> None:
    (x0, y0), (x1, y1) = start, end
    length = ((x1 - x0) ** 2 + (_ASPECT * (y1 - y0)) ** 2) ** 0.5
    dx, dy = (x1 - x0) / length * 0.26, (y1 - y0) / length * 0.26  # of the head
    nx, ny = -dy * _ASPECT * 0.45, dx / _ASPECT * 0.45  # across it
    fig.add_scatter(
        x=[x0, x1 - dx],
        y=[y0, y1 - dy],
        mode="lines",
        line={"color": colour, "width": 2, "dash": dash},
        hoverinfo="skip",
    )
    fig.add_scatter(
        x=[x1, x1 - dx + nx, x1 - dx - nx, x1],
        y=[y1, y1 - dy + ny, y1 - dy - ny, y1],
        mode="lines",
        line={"color": colour, "width": 1},
        fill="toself",
        fillcolor=colour,
        hoverinfo="skip",
    )


def _write(fig, text: str, place: tuple, anchor: str, colour: str | None = None) -> None:
    fig.add_annotation(
        text=text,
        x=place[0],
        y=place[1],
        xanchor=anchor,
        yanchor="middle",
        showarrow=False,
        font={"color": colour, "size": 13} if colour else {"size": 13},
    )
