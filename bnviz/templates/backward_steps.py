"""The template of `backward-steps`."""

import math

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict

__all__ = ["backward_steps"]

_PANELS = (
    ("formulas", "formulas", (0.0, 0.32)),
    ("autograd", "autograd", (0.34, 0.66)),
    ("apart", "apart by", (0.68, 1.0)),
)
_BELOW = ("to the statistics: sums over the whole batch", "to x: one term for each road back")
_BOTTOM = 0.33  # where the tables end


def backward_steps(features: int, rows: tuple, sizes: tuple) -> dict:
    """Three tables above the error curves; `rows` are the first and last row of each gradient."""
    fig = go.Figure()
    count = rows[-1][1] + 1
    for number, (uid, label, domain) in enumerate(_PANELS, start=1):
        _table(fig, uid, label, number, domain, (count, features))
    ticks = [-r for first, last in rows for r in range(first, last + 1)]
    names = [f"dx̂ {k + 1}" for k in range(rows[0][1] + 1)]
    names += ["dσ²", "dμ", *(name.replace("x̂", "x") for name in names)]
    fig.update_layout(
        yaxis={
            "domain": [_BOTTOM, 1],
            "range": [0.4 - count, 0.6],
            "tickvals": ticks,
            "ticktext": names,
            "ticks": "",
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
        height=640,
        margin={"l": 44, "r": 10, "t": 24, "b": 42},
        showlegend=False,
    )
    for (first, _), text in zip(rows[1::2], _BELOW, strict=True):
        fig.add_annotation(
            text=text, x=0, y=1 - first, xref="paper", yref="y", xanchor="left", showarrow=False
        )
    _curves(fig, sizes)
    return as_dict(fig)


def _table(fig, uid: str, label: str, number: int, domain: tuple, shape: tuple) -> None:
    axis = "" if number == 1 else str(number)
    rows, columns = shape
    fig.add_heatmap(
        x=list(range(columns)),
        y=[-r for r in range(rows)],
        z=[[None] * columns] * rows,
        uid=uid,
        name=label,
        xaxis=f"x{axis}",
        colorscale=theme.SIGNED_SCALE,
        zmin=-3,
        zmax=3,
        showscale=False,
        texttemplate="%{z:.2f}",
        textfont={"size": 10},
        hovertemplate="feature %{x}: %{z:.4f}<extra>" + label + "</extra>",
    )
    left, right = -0.5, columns - 0.5
    fig.add_scatter(
        x=[left, right, right, left, left],
        y=[0] * 5,
        uid=f"{uid}-frame",
        xaxis=f"x{axis}",
        mode="lines",
        line={"color": theme.BN, "width": 2},
        hoverinfo="skip",
    )
    fig.update_layout(
        {
            f"xaxis{axis}": {
                "domain": domain,
                "range": [left - 0.03, right + 0.03],
                "showticklabels": False,
                "ticks": "",
                "showgrid": False,
                "zeroline": False,
                "fixedrange": True,
            }
        }
    )
    fig.add_annotation(
        text=f"<b>{label}</b>",
        x=0.5,
        y=1,
        xref=f"x{axis} domain",
        yref="paper",
        xanchor="center",
        yanchor="bottom",
        showarrow=False,
    )


def _curves(fig, sizes: tuple) -> None:
    place = {"xaxis": "x4", "yaxis": "y4"}
    for uid, label, colour, dash in (
        ("wrong", "S4 as printed", theme.SECOND, "dash"),
        ("right", "without the extra 1/m", theme.BN, "solid"),
    ):
        fig.add_scatter(
            x=sizes,
            y=[0] * len(sizes),
            uid=uid,
            name=label,
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": dash},
            marker={"color": colour, "size": 5},
            hovertemplate="m = %{x}: %{y:.0%}<extra>" + label + "</extra>",
            **place,
        )
    fig.add_scatter(
        x=[sizes[0]],
        y=[0],
        uid="here",
        name="this batch size",
        mode="markers",
        marker={"color": theme.BN, "size": 12, "symbol": "diamond"},
        hovertemplate="m = %{x}: %{y:.0%}<extra>this batch size</extra>",
        **place,
    )
    fig.update_layout(
        xaxis4={
            "domain": [0, 1],
            "anchor": "y4",
            "type": "log",
            "range": [math.log10(1.8), math.log10(290)],
            "tickvals": sizes,
            "title": {"text": "batch size m"},
            "fixedrange": True,
        },
        yaxis4={
            "domain": [0, _BOTTOM - 0.1],
            "anchor": "x4",
            "range": [-0.08, 1.25],
            "tickvals": [0, 0.5, 1],
            "tickformat": ".0%",
            "fixedrange": True,
        },
    )
    fig.add_annotation(
        text="<b>error of dx</b>",
        x=0,
        y=_BOTTOM - 0.1,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
    )
    for text, y, colour in (  # at the left, where the curves are far apart for every control
        ("S4 as printed", 1.01, theme.SECOND),
        ("without the extra 1/m", 0.03, theme.BN),
    ):
        fig.add_annotation(
            text=text,
            x=0.01,
            y=y,
            xref="paper",
            yref="y4",
            xanchor="left",
            yanchor="bottom",
            showarrow=False,
            font={"color": colour, "size": 13},
        )
