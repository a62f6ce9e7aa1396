"""How much gradients turn, against the initial scale and the effective rate: `ics-scale`."""

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz.figure import theme

__all__ = ["ics_scale"]

_TITLES = {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "ReLU"}
_FEW = 0.8  # below this share of learned seeds a mark is hollow


def ics_scale(result: dict[str, Any]) -> go.Figure:
    """Cosine of G and G': above against the scale, below against the effective rate.

    A hollow mark: less than eight of ten networks have learned, so it says little.

    Args:
        result: `experiments.load("ics-scale")`.
    """
    fig = make_subplots(
        2,
        3,
        shared_yaxes=True,
        vertical_spacing=0.2,
        horizontal_spacing=0.03,
        column_titles=[f"<b>{title}</b>" for title in _TITLES.values()],
    )
    summary = result["summary"]
    for column, activation in enumerate(_TITLES, start=1):
        cells = summary[activation]
        for net, colour, symbol, label in (
            ("plain", theme.PLAIN, "circle", "without BN"),
            ("bn", theme.BN, "square", "with BN"),
        ):
            by_scale = sorted((c for c in cells[net] if c["rate"] == 1), key=lambda c: c["scale"])
            by_rate = sorted((c for c in cells[net] if c["scale"] == 1), key=lambda c: c["rate"])
            seeds = summary["seeds"]
            _curve(fig, 1, column, by_scale, "scale", seeds, colour, symbol, label, "solid")
            _curve(fig, 2, column, by_rate, "effective", seeds, colour, symbol, label, "solid")
            if net == "bn":
                name = "with BN, scale varied"
                _curve(fig, 2, column, by_scale, "effective", seeds, colour, "x", name, "dot")
    fig.update_xaxes(type="log", fixedrange=True)
    fig.update_xaxes(tickvals=[0.25, 1, 4], ticktext=["¼", "1", "4"], row=1)
    fig.update_xaxes(tickvals=[1 / 16, 1, 16], ticktext=["1/16", "1", "16"], row=2)
    fig.update_xaxes(title_text="initial scale / proper one", row=1, col=2)
    fig.update_xaxes(title_text="effective rate, rate / scale²", row=2, col=2)
    fig.update_yaxes(range=[-0.1, 1.08], tickvals=[0, 0.5, 1], fixedrange=True)
    fig.update_yaxes(title_text="cosine of G and G′", col=1)
    return fig.update_layout(
        template=theme.template("light"),
        height=520,
        margin={"l": 50, "r": 10, "t": 60, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.08, "yanchor": "bottom"},
    )


def _curve(fig, row, column, cells, key, seeds, colour, symbol, label, dash) -> None:
    known = [c for c in cells if c["cosine"]["median"] is not None]
    hollow = [c["learned"] < _FEW * seeds for c in known]
    fig.add_scatter(
        x=[c[key] for c in known],
        y=[c["cosine"]["median"] for c in known],
        customdata=[c["learned"] for c in known],
        mode="lines+markers",
        name=label,
        legendgroup=label,
        showlegend=column == 1 and (row == 1 or dash == "dot"),
        line={"color": colour, "width": 2, "dash": dash},
        marker={
            "color": colour,
            "size": 8,
            "symbol": [f"{symbol}-open" if h else symbol for h in hollow],
        },
        hovertemplate="%{x:g}: %{y:.2f}, %{customdata} learn<extra>" + label + "</extra>",
        row=row,
        col=column,
    )
