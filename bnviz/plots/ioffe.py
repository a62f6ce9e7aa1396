"""Ioffe and Szegedy's figure 1, from the stored experiment `ioffe-figure-1`."""

from math import log10
from statistics import median
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz.figure import theme
from bnviz.templates.parts import pale

__all__ = ["ioffe_figure_1"]

_NETS = (("plain", "without BN", theme.PLAIN, "dash"), ("bn", "with BN", theme.BN, "solid"))


def ioffe_figure_1(result: dict[str, Any], rate: str = "main", seed: int = 0) -> go.Figure:
    """Test accuracy against steps, then the percentiles of one unit's input for both networks.

    Args:
        result: `experiments.load("ioffe-figure-1")`.
        rate: "low", "main" or "high".
        seed: of the run whose percentiles are shown.
    """
    settings = result["settings"]
    steps, lr = settings["recorded"], settings["rates"][rate]
    fig = make_subplots(
        3,
        1,
        shared_xaxes=True,
        vertical_spacing=0.07,
        row_heights=[1.15, 1, 1],
        subplot_titles=(
            "<b>test accuracy</b>, median of 5 seeds; band: all 5",
            "<b>without BN</b>: input of one sigmoid",
            "<b>with BN</b>: input of the same sigmoid",
        ),
    )
    for row, (net, label, colour, dash) in enumerate(_NETS, start=2):
        runs = [r for r in result["rows"] if (r["net"], r["lr"]) == (net, lr)]
        _accuracy(fig, steps, runs, label, colour, dash)
        _percentiles(fig, steps, next(r for r in runs if r["seed"] == seed), colour, row)
    fig.update_xaxes(type="log", range=[0, 3.72], tickvals=[1, 10, 100, 1000], fixedrange=True)
    fig.update_xaxes(title_text="training step (log scale)", row=3)
    fig.update_yaxes(
        range=[0, 1.02], tickformat=".0%", tickvals=[0, 0.5, 1], fixedrange=True, row=1
    )
    low, high = _span(result, lr, seed)
    for row in (2, 3):
        fig.update_yaxes(range=[low, high], nticks=5, fixedrange=True, row=row)
    for label, colour, x, y in (
        ("with BN", theme.BN, 1.25, 0.8),
        ("without BN", theme.PLAIN, 2.45, 0.35),
    ):
        fig.add_annotation(
            text=f"<b>{label}</b>",
            x=x,
            y=y,
            showarrow=False,
            row=1,
            col=1,
            xanchor="right",
            font={"color": colour},
        )
    fig.update_annotations(font_size=12)
    return fig.update_layout(
        template=theme.template("light"),
        height=560,
        showlegend=False,
        margin={"l": 44, "r": 12, "t": 28, "b": 44},
    )


def _accuracy(fig, steps, runs, label, colour, dash) -> None:
    columns = list(zip(*(r["accuracy"] for r in runs), strict=True))
    curves = {
        "min": [min(c) for c in columns],
        "max": [max(c) for c in columns],
        "median": [median(c) for c in columns],
    }
    _band(fig, steps, curves["min"], curves["max"], colour, 1)
    fig.add_scatter(
        x=steps,
        y=curves["median"],
        mode="lines",
        name=label,
        row=1,
        col=1,
        line={"color": colour, "width": 2, "dash": dash},
        hovertemplate="step %{x}: %{y:.1%}<extra>" + label + "</extra>",
    )


def _percentiles(fig, steps, run, colour, row) -> None:
    _band(fig, steps, run["p15"], run["p85"], colour, row)
    for key, width in (("p15", 1), ("p85", 1), ("p50", 2.5)):
        name = f"{key[1:]}th percentile"
        fig.add_scatter(
            x=steps,
            y=run[key],
            mode="lines",
            name=name,
            row=row,
            col=1,
            line={"color": colour, "width": width},
            hovertemplate="step %{x}: %{y:.2f}<extra>" + name + "</extra>",
        )
    for key in ("p15", "p50", "p85"):
        fig.add_annotation(
            text=f"{key[1:]} %",
            x=log10(steps[-1]),
            y=run[key][-1],
            showarrow=False,
            row=row,
            col=1,
            xanchor="right",
            yanchor="bottom",
        )


def _band(fig, steps, low, high, colour, row) -> None:
    fig.add_scatter(
        x=[*steps, *reversed(steps)],
        y=[*low, *reversed(high)],
        fill="toself",
        mode="lines",
        line={"width": 0, "color": colour},
        fillcolor=pale(colour, 0.2),
        hoverinfo="skip",
        row=row,
        col=1,
    )


def _span(result, lr, seed) -> tuple[float, float]:
    """One range for both networks: whole numbers around everything shown."""
    runs = [r for r in result["rows"] if r["lr"] == lr and r["seed"] == seed]
    return min(min(r["p15"]) for r in runs) - 0.5, max(max(r["p85"]) for r in runs) + 0.8
