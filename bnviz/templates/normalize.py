"""The template of `normalize`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict

__all__ = ["normalize"]

_STAGES = ("X", "x", "μ", "x − μ", "σ²", "x̂", "y", "Y")  # capitals: the whole batch


def normalize(labels: list[int], units: tuple[int, ...]) -> dict:
    """A strip of stages, the table (two layers: what is looked at, and the rest), and dots."""
    fig = go.Figure()
    rows, columns = len(labels) + 5, len(units)
    _strip(fig)
    for uid, scale, font in (
        ("pale", theme.SIGNED_PALE_SCALE, {"color": theme.NEUTRAL, "size": 12}),
        ("strong", theme.SIGNED_SCALE, {"size": 12}),
    ):
        fig.add_heatmap(
            x=np.arange(columns),
            y=np.arange(rows),
            z=np.zeros((rows, columns)),
            uid=uid,
            xaxis="x2",
            yaxis="y2",
            colorscale=scale,
            zmin=-5,
            zmax=5,
            showscale=False,
            texttemplate="%{z:.2f}",
            textfont=font,
            hoverinfo="skip",
        )
    fig.add_scatter(
        x=[0] * 5,
        y=[-0.45, -0.45, rows - 0.55, rows - 0.55, -0.45],
        mode="lines",
        uid="frame",
        xaxis="x2",
        yaxis="y2",
        line={"color": theme.BN, "width": 2.5},
        hoverinfo="skip",
    )
    _dots(fig, len(labels))
    bare = {"fixedrange": True, "ticks": "", "showgrid": False, "zeroline": False}
    names = [
        "β",
        "γ",
        "σ²<sub>B</sub>",
        "μ<sub>B</sub>",
        *(f"a “{label}”" for label in reversed(labels)),
    ]
    fig.update_layout(
        {
            "yaxis2": {
                "domain": [0.25, 0.845],
                "anchor": "x2",
                "range": [-0.5, rows - 0.5],
                "tickvals": [0, 1, 2, 3, *range(5, rows)],
                "ticktext": names,
                **bare,
            },
            "xaxis2": {
                "domain": [0, 1],
                "anchor": "y2",
                "side": "top",
                "range": [-0.6, columns - 0.4],
                "tickvals": list(range(columns)),
                "ticktext": [f"unit {units[0]}", *map(str, units[1:])],
                **bare,
            },
            "height": 600,
            "margin": {"l": 46, "r": 12, "t": 10, "b": 40},
            "showlegend": False,
        }
    )
    return as_dict(fig)


def _strip(fig: go.Figure) -> None:
    """Where we are in Algorithm 1."""
    n = len(_STAGES)
    fig.add_scatter(
        x=np.arange(n),
        y=np.zeros(n),
        mode="lines+markers",
        uid="stages",
        line={"color": theme.NEUTRAL, "width": 1.5},
        marker={"size": 7, "color": theme.NEUTRAL},
        hoverinfo="skip",
    )
    fig.add_scatter(
        x=[0],
        y=[0],
        mode="markers",
        uid="stage",
        marker={"size": 15, "color": theme.BN},
        hoverinfo="skip",
    )
    fig.update_layout(
        xaxis={
            "domain": [0, 1],
            "anchor": "y",
            "range": [-0.45, n - 0.55],
            "tickvals": list(range(n)),
            "ticktext": list(_STAGES),
            "tickangle": 0,
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
        },
        yaxis={
            "domain": [0.955, 1],
            "anchor": "x",
            "range": [-1, 1],
            "visible": False,
            "fixedrange": True,
        },
    )


def _dots(fig: go.Figure, m: int) -> None:
    """The column as dots, above as it came, below as it is now; fixed axis."""
    rows = (("before", "before: x", theme.PLAIN, 2.0), ("now", "now", theme.BN, 0.0))
    for uid, label, colour, y in rows:
        fig.add_scatter(
            x=[0] * m,
            y=[y] * m,
            mode="markers",
            uid=f"{uid}-dots",
            xaxis="x3",
            yaxis="y3",
            marker={"size": 10, "color": colour, "opacity": 0.6},
            name=label,
            hovertemplate="%{x:.2f}<extra></extra>",
        )
        fig.add_scatter(
            x=[0] * 3,
            y=[y + 0.8] * 3,
            mode="lines+markers",
            uid=f"{uid}-bar",
            xaxis="x3",
            yaxis="y3",
            line={"color": colour, "width": 2.5},
            marker={"size": [1, 9, 1], "color": colour},
            name=f"mean ± std, {label}",
            hovertemplate="%{x:.2f}<extra></extra>",
        )
    fig.update_layout(
        xaxis3={
            "domain": [0, 1],
            "anchor": "y3",
            "range": [-9, 9],
            "dtick": 2,
            "fixedrange": True,
            "title": {"text": "value"},
        },
        yaxis3={
            "domain": [0, 0.2],
            "anchor": "x3",
            "range": [-0.7, 3.4],
            "tickvals": [0.4, 2.4],
            "ticktext": ["now", "before"],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
    )
