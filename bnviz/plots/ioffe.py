"""Ioffe and Szegedy's figure 1, from the stored experiments on the digits and on MNIST."""

from math import log10
from statistics import median
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz.figure import theme
from bnviz.templates.parts import pale

__all__ = ["ioffe_figure_1"]

_NETS = (("plain", "without BN", theme.PLAIN, "dash"), ("bn", "with BN", theme.BN, "solid"))


def ioffe_figure_1(result: dict[str, Any], lr: float = 0.5, seed: int = 0) -> go.Figure:
    """Test accuracy against steps, then the percentiles of one unit's input for both networks.

    Args:
        result: `experiments.load("ioffe-figure-1")`, or "ioffe-mnist".
        lr: one of the learning rates of the rows.
        seed: of the run whose percentiles are shown.
    """
    steps = result["settings"]["recorded"]
    seeds = len({r["seed"] for r in result["rows"]})
    fig = make_subplots(
        3,
        1,
        shared_xaxes=True,
        vertical_spacing=0.07,
        row_heights=[1.15, 1, 1],
        subplot_titles=(
            f"<b>test accuracy</b>, median of {seeds} seeds; band: all {seeds}",
            "<b>without BN</b>: input of one sigmoid",
            "<b>with BN</b>: input of the same sigmoid",
        ),
    )
    medians = {}
    for row, (net, label, colour, dash) in enumerate(_NETS, start=2):
        runs = [r for r in result["rows"] if (r["net"], r["lr"]) == (net, lr)]
        medians[net] = _accuracy(fig, steps, runs, label, colour, dash)
        _percentiles(fig, steps, next(r for r in runs if r["seed"] == seed), colour, row)
    fig.update_xaxes(
        type="log",
        range=[0, log10(steps[-1]) + 0.02],
        tickvals=[10**k for k in range(6) if 10**k <= steps[-1]],
        fixedrange=True,
    )
    fig.update_xaxes(title_text="training step (log scale)", row=3)
    fig.update_yaxes(
        range=[0, 1.02], tickformat=".0%", tickvals=[0, 0.5, 1], fixedrange=True, row=1
    )
    low, high = _span(result, lr, seed)
    for row in (2, 3):
        fig.update_yaxes(range=[low, high], nticks=5, fixedrange=True, row=row)
    _labels(fig, steps, medians)
    fig.update_annotations(font_size=12)
    return fig.update_layout(
        template=theme.template("light"),
        height=560,
        showlegend=False,
        margin={"l": 44, "r": 12, "t": 28, "b": 44},
    )


def _labels(fig, steps, medians: dict[str, list[float]]) -> None:
    """The names beside the curves where they pass one half: BN's left of it, the other's right."""
    for net, label, colour, _ in _NETS:
        at = next((s for s, a in zip(steps, medians[net], strict=True) if a >= 0.5), steps[-1])
        left = net == "bn"
        fig.add_annotation(
            text=f"<b>{label}</b>",
            x=log10(at) + (-0.1 if left else 0.1),
            y=0.65 if left else 0.35,
            showarrow=False,
            row=1,
            col=1,
            xanchor="right" if left else "left",
            font={"color": colour},
        )


def _accuracy(fig, steps, runs, label, colour, dash) -> list[float]:
    """Draws the curve and its band; returns the medians."""
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
    return curves["median"]


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
