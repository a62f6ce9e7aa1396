"""The template of `batch-coupling`."""

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, note

__all__ = ["batch_coupling"]

_STYLES = (
    ("before", theme.NEUTRAL, "circle-open", 8, 1.2),
    ("after", theme.BN, "circle", 8, 1.8),
    ("nudged", theme.SECOND, "diamond", 11, 2.6),
)
_TOPS = (1.0, 0.68, 0.39)  # of the three panels
_BOTTOMS = (0.755, 0.46, 0.0)


def batch_coupling(largest: int) -> dict:
    """Inputs to outputs, the moves of the outputs, and the Jacobian, one below the other."""
    fig = go.Figure()
    _slopes(fig, largest)
    _moves(fig, largest)
    _jacobian(fig, largest)
    titles = ("from input x to output y", "how far each output moved", "Jacobian ∂yᵢ/∂xⱼ")
    fig.update_layout(
        annotations=[
            note(f"<b>{text}</b>", 0, top, "left", "bottom")
            for text, top in zip(titles, _TOPS, strict=True)
        ],
        height=700,
        margin={"l": 44, "r": 10, "t": 24, "b": 42},
        showlegend=False,
        barmode="overlay",
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
    fig.update_layout(
        xaxis=_axis([0, 1], "y", [-4.5, 4.5], dtick=1),
        yaxis=_axis(
            [_BOTTOMS[0], _TOPS[0]],
            "x",
            [-0.25, 1.25],
            tickvals=[0, 1],
            ticktext=["y", "x"],
            showgrid=False,
            zeroline=False,
        ),
    )


def _moves(fig, n: int) -> None:
    place = {"xaxis": "x2", "yaxis": "y2"}
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
            **place,
        )
    fig.add_scatter(
        x=numbers,
        y=[None] * n,
        uid="predicted",
        name="predicted",
        mode="markers",
        marker={"color": theme.THIRD, "symbol": "x", "size": 8},
        hovertemplate="output %{x}: the Jacobian predicts %{y:.2f}<extra></extra>",
        **place,
    )
    fig.update_layout(
        xaxis2=_axis([0, 1], "y2", [0.5, n + 0.5], dtick=1, showgrid=False, zeroline=False),
        yaxis2=_axis([_BOTTOMS[1], _TOPS[1]], "x2", [-2.5, 2.5], dtick=1),
    )


def _jacobian(fig, n: int) -> None:
    place = {"xaxis": "x3", "yaxis": "y3"}
    numbers = list(range(1, n + 1))
    fig.add_heatmap(
        x=numbers,
        y=[-k for k in numbers],
        z=[[None] * n] * n,
        uid="jacobian",
        colorscale=theme.SIGNED_SCALE,
        zmin=-1,
        zmax=1,
        showscale=False,
        texttemplate="%{z:.2f}",
        textfont={"size": 11},
        hovertemplate="input %{x}: %{z:.3f}<extra></extra>",
        **place,
    )
    fig.add_scatter(
        x=[1] * 5,
        y=[1] * 5,
        uid="column",
        mode="lines",
        line={"color": theme.SECOND, "width": 2.6},
        hoverinfo="skip",
        **place,
    )
    bare = {"showgrid": False, "zeroline": False, "ticks": ""}
    fig.update_layout(
        xaxis3=_axis([0, 1], "y3", [0.45, n + 0.55], dtick=1, title={"text": "input j"}, **bare),
        yaxis3=_axis(
            [_BOTTOMS[2], _TOPS[2]],
            "x3",
            [-n - 0.55, -0.45],
            tickvals=[-k for k in numbers],
            ticktext=[str(k) for k in numbers],
            title={"text": "output i"},
            **bare,
        ),
    )


def _axis(domain: list, anchor: str, span: list, **more) -> dict:
    return {"domain": domain, "anchor": anchor, "range": span, "fixedrange": True, **more}
