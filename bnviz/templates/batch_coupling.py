"""The template of `batch-coupling`."""

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import BARE, as_dict, heading, panel, place, sheet, table

__all__ = ["batch_coupling"]

_STYLES = (
    ("before", theme.NEUTRAL, "circle-open", 8, 1.2),
    ("after", theme.BN, "circle", 8, 1.8),
    ("nudged", theme.SECOND, "diamond", 11, 2.6),
)
_UPS = ((0.755, 1.0), (0.46, 0.68), (0.0, 0.39))  # bottoms and tops of the three panels


def batch_coupling(largest: int) -> dict:
    """Inputs to outputs, the moves of the outputs, and the Jacobian, one below the other."""
    fig = go.Figure()
    _slopes(fig, largest)
    _moves(fig, largest)
    _jacobian(fig, largest)
    titles = ("from input x to output y", "how far each output moved", "Jacobian ∂yᵢ/∂xⱼ")
    fig.update_layout(
        annotations=[heading(text, 0, top) for text, (_, top) in zip(titles, _UPS, strict=True)],
        barmode="overlay",
        **sheet(700, 44, 10, 24, 42),
    )
    return as_dict(fig)


def _slopes(fig, n: int) -> None:
    for uid, colour, symbol, size, width in _STYLES:
        fig.add_scatter(
            x=[None] * (3 * n),
            y=[1, 0, None] * n,
            uid=f"{uid}-lines",
            mode="lines",
            line={"color": colour, "width": width},
            opacity=0.75,
            hoverinfo="skip",
        )
        fig.add_scatter(
            x=[None] * (2 * n),
            y=[1] * n + [0] * n,
            uid=f"{uid}-points",
            name=uid,
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": size},
            hovertemplate="%{x:.2f}<extra>" + uid + "</extra>",
        )
    ends = {"tickvals": [0, 1], "ticktext": ["y", "x"], "showgrid": False, "zeroline": False}
    x, y = {"range": [-4.5, 4.5], "dtick": 1}, {"range": [-0.25, 1.25], **ends}
    fig.update_layout(panel(1, [0, 1], _UPS[0], x, y))


def _moves(fig, n: int) -> None:
    numbers = list(range(1, n + 1))
    for uid, colour in (("others", theme.BN), ("own", theme.SECOND)):
        fig.add_bar(
            x=numbers,
            y=[None] * n,
            width=0.56,
            uid=uid,
            name=uid,
            marker={"color": colour},
            hovertemplate="output %{x} moved by %{y:.2f}<extra></extra>",
            **place(2),
        )
    fig.add_scatter(
        x=numbers,
        y=[None] * n,
        uid="predicted",
        name="predicted",
        mode="markers",
        marker={"color": theme.THIRD, "symbol": "x", "size": 8},
        hovertemplate="output %{x}: the Jacobian predicts %{y:.2f}<extra></extra>",
        **place(2),
    )
    x = {"range": [0.5, n + 0.5], "dtick": 1, "showgrid": False, "zeroline": False}
    fig.update_layout(panel(2, [0, 1], _UPS[1], x, {"range": [-2.5, 2.5], "dtick": 1}))


def _jacobian(fig, n: int) -> None:
    numbers = list(range(1, n + 1))
    fig.add_heatmap(
        x=numbers,
        y=[-k for k in numbers],
        z=[[None] * n] * n,
        uid="jacobian",
        textfont={"size": 11},
        **table(1),
        hovertemplate="input %{x}: %{z:.3f}<extra></extra>",
        **place(3),
    )
    fig.add_scatter(
        x=[1] * 5,
        y=[1] * 5,
        uid="column",
        mode="lines",
        line={"color": theme.SECOND, "width": 2.6},
        hoverinfo="skip",
        **place(3),
    )
    inputs = {"range": [0.45, n + 0.55], "dtick": 1, "title": {"text": "input j"}}
    outputs = {
        "range": [-n - 0.55, -0.45],
        "tickvals": [-k for k in numbers],
        "ticktext": [str(k) for k in numbers],
        "title": {"text": "output i"},
    }
    fig.update_layout(panel(3, [0, 1], _UPS[2], inputs | BARE, outputs | BARE))
