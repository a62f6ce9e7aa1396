"""The template of `backward-steps`."""

import math

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import BARE, as_dict, heading, note, panel, place, sheet, suffix, table

__all__ = ["backward_steps"]

_PANELS = (
    ("formulas", "formulas", (0.0, 0.32)),
    ("autograd", "autograd", (0.34, 0.66)),
    ("apart", "apart by", (0.68, 1.0)),
)
_BELOW = ("to the statistics: sums over the whole batch", "to x: one term for each road back")
_BOTTOM = 0.33  # where the tables end
_WAYS = (  # label, colour, dash, height of the label at the left, where the curves are far apart
    ("wrong", "S4 as printed", theme.SECOND, "dash", 1.01),
    ("right", "without the extra 1/m", theme.BN, "solid", 0.03),
)


def backward_steps(features: int, rows: tuple, sizes: tuple) -> dict:
    """Three tables above the error curves; `rows` are the first and last row of each gradient."""
    fig = go.Figure()
    count = rows[-1][1] + 1
    for number, (uid, label, domain) in enumerate(_PANELS, start=1):
        _table(fig, uid, label, number, domain, (count, features))
    ticks = [-r for first, last in rows for r in range(first, last + 1)]
    names = [f"dx̂ {k + 1}" for k in range(rows[0][1] + 1)]
    names += ["dσ²", "dμ", *(name.replace("x̂", "x") for name in names)]
    words = {"tickvals": ticks, "ticktext": names, "fixedrange": True, **BARE}
    up = {"domain": [_BOTTOM, 1], "range": [0.4 - count, 0.6]}
    fig.update_layout(yaxis=up | words, **sheet(640, 44, 10, 24, 42))
    for (first, _), text in zip(rows[1::2], _BELOW, strict=True):
        at = {"x": 0, "y": 1 - first, "xref": "paper", "yref": "y"}
        fig.add_annotation(text=text, **at, xanchor="left", showarrow=False)
    _curves(fig, sizes)
    return as_dict(fig)


def _table(fig, uid: str, label: str, number: int, domain: tuple, shape: tuple) -> None:
    axis = f"x{suffix(number)}"
    rows, columns = shape
    fig.add_heatmap(
        x=list(range(columns)),
        y=[-r for r in range(rows)],
        z=[[None] * columns] * rows,
        uid=uid,
        name=label,
        xaxis=axis,
        textfont={"size": 10},
        hovertemplate="feature %{x}: %{z:.4f}<extra>" + label + "</extra>",
        **table(3),
    )
    left, right = -0.5, columns - 0.5
    fig.add_scatter(
        x=[left, right, right, left, left],
        y=[0] * 5,
        uid=f"{uid}-frame",
        xaxis=axis,
        mode="lines",
        line={"color": theme.BN, "width": 2},
        hoverinfo="skip",
    )
    span = {"domain": domain, "range": [left - 0.03, right + 0.03], "fixedrange": True}
    fig.update_layout({f"xaxis{suffix(number)}": span | BARE | {"showticklabels": False}})
    middle = {"x": 0.5, "xref": f"{axis} domain", "xanchor": "center"}
    fig.add_annotation(heading(label, 0.5, 1) | middle)


def _curves(fig, sizes: tuple) -> None:
    """The error of dx by batch size, for both ways, and the batch size that is chosen."""
    for uid, label, colour, dash, _ in _WAYS:
        fig.add_scatter(
            x=sizes,
            y=[0] * len(sizes),
            uid=uid,
            name=label,
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": dash},
            marker={"color": colour, "size": 5},
            hovertemplate="m = %{x}: %{y:.0%}<extra>" + label + "</extra>",
            **place(4),
        )
    fig.add_scatter(
        x=[sizes[0]],
        y=[0],
        uid="here",
        name="this batch size",
        mode="markers",
        marker={"color": theme.BN, "size": 12, "symbol": "diamond"},
        hovertemplate="m = %{x}: %{y:.0%}<extra>this batch size</extra>",
        **place(4),
    )
    span = {"type": "log", "range": [math.log10(1.8), math.log10(290)], "tickvals": sizes}
    errors = {"range": [-0.08, 1.25], "tickvals": [0, 0.5, 1], "tickformat": ".0%"}
    below = (0, _BOTTOM - 0.1)
    fig.update_layout(panel(4, (0, 1), below, span | {"title": {"text": "batch size m"}}, errors))
    fig.add_annotation(heading("error of dx", 0, below[1]))
    for _, label, colour, _, y in _WAYS:
        fig.add_annotation(note(label, 0.01, y, "left", "bottom", colour) | {"yref": "y4"})
