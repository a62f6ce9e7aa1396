"""The template of `normalize`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import BARE, as_dict, panel, place, sheet, table, whisker

__all__ = ["normalize"]

_STAGES = ("X", "x", "μ", "x − μ", "σ²", "x̂", "y", "Y")  # capitals: the whole batch


def normalize(labels: list[int], units: tuple[int, ...]) -> dict:
    """A strip of stages, the table (two layers: what is looked at, and the rest), and dots."""
    fig = go.Figure()
    _strip(fig)
    _table(fig, labels, units)
    _dots(fig, len(labels))
    fig.update_layout(sheet(600, 46, 12, 10, 40))
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
    stages = {
        "range": [-0.45, n - 0.55],
        "tickvals": list(range(n)),
        "ticktext": list(_STAGES),
        "tickangle": 0,
        "showgrid": False,
        "zeroline": False,
    }
    unseen = {"range": [-1, 1], "visible": False}
    fig.update_layout(panel(1, (0, 1), (0.955, 1), stages, unseen))


def _table(fig: go.Figure, labels: list[int], units: tuple[int, ...]) -> None:
    """A row for each example, then the statistics and parameters; a frame around one column."""
    rows, columns = len(labels) + 5, len(units)
    for uid, scale, font in (
        ("pale", theme.SIGNED_PALE_SCALE, {"color": theme.NEUTRAL, "size": 12}),
        ("strong", theme.SIGNED_SCALE, {"size": 12}),
    ):
        fig.add_heatmap(
            x=np.arange(columns),
            y=np.arange(rows),
            z=np.zeros((rows, columns)),
            uid=uid,
            textfont=font,
            hoverinfo="skip",
            **(table(5) | {"colorscale": scale}),
            **place(2),
        )
    fig.add_scatter(
        x=[0] * 5,
        y=[-0.45, -0.45, rows - 0.55, rows - 0.55, -0.45],
        mode="lines",
        uid="frame",
        line={"color": theme.BN, "width": 2.5},
        hoverinfo="skip",
        **place(2),
    )
    statistics = ["β", "γ", "σ²<sub>B</sub>", "μ<sub>B</sub>"]
    across = {
        "side": "top",
        "range": [-0.6, columns - 0.4],
        "tickvals": list(range(columns)),
        "ticktext": [f"unit {units[0]}", *map(str, units[1:])],
    }
    up = {
        "range": [-0.5, rows - 0.5],
        "tickvals": [0, 1, 2, 3, *range(5, rows)],
        "ticktext": [*statistics, *(f"a “{label}”" for label in reversed(labels))],
    }
    fig.update_layout(panel(2, (0, 1), (0.25, 0.845), across | BARE, up | BARE))


def _dots(fig: go.Figure, m: int) -> None:
    """The column as dots, above as it came, below as it is now; fixed axis."""
    rows = (("before", "before: x", theme.PLAIN, 2.0), ("now", "now", theme.BN, 0.0))
    for uid, label, colour, y in rows:
        fig.add_scatter(
            x=[0] * m,
            y=[y] * m,
            mode="markers",
            uid=f"{uid}-dots",
            marker={"size": 10, "color": colour, "opacity": 0.6},
            name=label,
            hovertemplate="%{x:.2f}<extra></extra>",
            **place(3),
        )
        line = whisker(f"{uid}-bar", y + 0.8, colour, f"mean ± std, {label}")
        fig.add_scatter(**line, **place(3))
    values = {"range": [-9, 9], "dtick": 2, "title": {"text": "value"}}
    words = {"tickvals": [0.4, 2.4], "ticktext": ["now", "before"]}
    bare = {"range": [-0.7, 3.4], "showgrid": False, "zeroline": False}
    fig.update_layout(panel(3, (0, 1), (0, 0.2), values, words | bare))
