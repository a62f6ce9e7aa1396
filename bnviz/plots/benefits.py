"""Stored experiments of the chapter on benefits: curves with the spread over their seeds."""

from statistics import median
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz.figure import theme
from bnviz.templates.parts import pale

__all__ = [
    "accuracy_by_depth",
    "accuracy_by_rate",
    "weight_norms",
]

NETS = (("plain", "without BN", theme.PLAIN, "dash"), ("bn", "with BN", theme.BN, "solid"))


def accuracy_by_rate(result: dict[str, Any], threshold: int = 90) -> go.Figure:
    """Accuracy against the rate, one row for each activation; a bar over the rates that train.

    Args:
        result: `experiments.load("learning-rate")`.
        threshold: per cent that every seed must reach, one of those stored.
    """
    summary = result["summary"]
    names = ("sigmoid", "tanh", "relu")
    fig = make_subplots(3, 1, shared_xaxes=True, vertical_spacing=0.06)
    for row, activation in enumerate(names, start=1):
        for k, (net, label, colour, dash) in enumerate(NETS):
            curve = summary["curves"][f"{activation}-{net}"]
            columns = list(zip(curve["min"], curve["median"], curve["max"], strict=True))
            _band(fig, summary["rates"], columns, label, colour, dash, row)
            band = summary["bands"][f"{activation}-{net}"][str(threshold)]
            _bracket(fig, band, 1.1 + 0.1 * k, label, colour, row)
        _head(fig, activation, row)
    _share(fig, top=1.28)
    fig.update_xaxes(type="log", range=[-3.05, 2.05], fixedrange=True, dtick=1,
                     exponentformat="none", zeroline=False)  # fmt: skip
    fig.update_xaxes(title_text="learning rate (log scale)", row=3)
    return _finish(fig, 620, (("without BN", -1.55, 0.3, 0), ("with BN", -1.1, 0.78, 1)))


def accuracy_by_depth(result: dict[str, Any]) -> go.Figure:
    """Accuracy against depth, each net at its best setting, for sigmoid and tanh.

    Args:
        result: `experiments.load("depth")`.
    """
    summary = result["summary"]
    fig = make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.1)
    for row, activation in enumerate(("sigmoid", "tanh"), start=1):
        for net, label, colour, dash in NETS:
            best = summary["best"][f"{activation}-{net}"]
            columns = list(zip(best["min"], best["median"], best["max"], strict=True))
            _band(fig, summary["depths"], columns, label, colour, dash, row, markers=True)
        _head(fig, activation, row)
    _share(fig, top=1.05)
    fig.update_xaxes(type="log", range=[0.25, 1.65], tickvals=summary["depths"], fixedrange=True,
                     zeroline=False)  # fmt: skip
    fig.update_xaxes(title_text="hidden layers (log scale)", row=2)
    return _finish(fig, 440, (("without BN", 1.3, 0.25, 0), ("with BN", 1.3, 0.78, 1)))


def weight_norms(result: dict[str, Any]) -> go.Figure:
    """Norm of a weight matrix over its start against steps; one row for each net.

    Args:
        result: `experiments.load("weight-norm")`.
    """
    steps, rates = result["settings"]["recorded"][1:], result["summary"]["rates"]
    fig = make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.1)
    for row, (net, label, colour, _) in enumerate(NETS, start=1):
        for lr, dash, lift in zip(rates, ("dot", "dash", "solid"), (-5, 5, 0), strict=True):
            runs = [r["norm"][1:] for r in result["rows"] if (r["net"], r["lr"]) == (net, lr)]
            runs = [run for run in runs if run[-1] is not None]
            columns = [(min(c), round(median(c), 4), max(c)) for c in zip(*runs, strict=True)]
            _band(fig, steps, columns, f"{label}, rate {lr:g}", colour, dash, row)
            fig.add_annotation(
                text=f"rate {lr:g}", x=round(float(np.log10(steps[-1])), 4), y=columns[-1][1],
                showarrow=False, xanchor="left", yshift=lift, font={"color": colour},
                row=row, col=1,
            )  # fmt: skip
        if net == "bn":
            _law(fig, result, rates[-1], row)
        _head(fig, label, row, colour)
    fig.update_xaxes(type="log", range=[-0.05, 3.75], tickvals=[1, 10, 100, 1000], fixedrange=True,
                     zeroline=False)  # fmt: skip
    fig.update_xaxes(title_text="training step (log scale)", row=2)
    fig.update_yaxes(range=[0.8, 3.4], tickvals=[1, 2, 3], fixedrange=True)
    return _finish(fig, 480, ())


def _law(fig, result, lr, row) -> None:
    """What orthogonal steps predict, as a broad grey line under the measured one."""
    steps = result["settings"]["recorded"][1:]
    runs = [r["predicted"][1:] for r in result["rows"] if (r["net"], r["lr"]) == ("bn", lr)]
    fig.add_scatter(
        x=steps,
        y=[round(median(c), 4) for c in zip(*runs, strict=True)],
        mode="lines",
        name="predicted",
        line={"color": theme.NEUTRAL, "width": 8},
        opacity=0.4,
        hoverinfo="skip",
        row=row,
        col=1,
    )
    fig.add_annotation(text="grey: predicted by the law", x=1.9, y=2.0, showarrow=False,
                       row=row, col=1)  # fmt: skip


def _band(fig, x, columns, label, colour, dash, row, markers=False) -> None:
    """A band from the smallest to the largest of the seeds, and a line through the medians."""
    low, middle, high = zip(*columns, strict=True)
    fig.add_scatter(
        x=[*x, *reversed(x)],
        y=[*low, *reversed(high)],
        mode="lines",
        fill="toself",
        fillcolor=pale(colour, 0.18),
        line={"width": 0, "color": colour},
        hoverinfo="skip",
        row=row,
        col=1,
    )
    fig.add_scatter(
        x=list(x),
        y=list(middle),
        mode="lines+markers" if markers else "lines",
        name=label,
        line={"color": colour, "width": 2, "dash": dash},
        marker={"size": 8, "symbol": "diamond" if dash == "dash" else "circle"},
        hovertemplate="%{x:.3g}: %{y:.3g}<extra>" + label + "</extra>",
        row=row,
        col=1,
    )


def _bracket(fig, band, height, label, colour, row) -> None:
    if band["low"] is None:
        return
    fig.add_scatter(
        x=[band["low"], band["high"]],
        y=[height] * 2,
        mode="lines+markers",
        name=f"trains {label}",
        line={"color": colour, "width": 4},
        marker={"size": 8, "symbol": "diamond" if "out" in label else "circle"},
        hovertemplate="%{x:.3g}<extra>every seed trains, " + label + "</extra>",
        row=row,
        col=1,
    )
    fig.add_annotation(
        text=f"{band['decades']:.1f} decades", x=round(float(np.log10(band["low"])) - 0.07, 4),
        y=height, xanchor="right", showarrow=False, font={"color": colour, "size": 11},
        row=row, col=1,
    )  # fmt: skip


def _head(fig, text, row, colour=None) -> None:
    fig.add_annotation(
        text=f"<b>{text}</b>",
        x=0,
        y=1,
        xref="x domain",
        yref="y domain",
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
        font={"size": 13, **({"color": colour} if colour else {})},
        row=row,
        col=1,
    )


def _share(fig, top: float) -> None:
    fig.update_yaxes(range=[0, top], tickformat=".0%", tickvals=[0, 0.5, 1], fixedrange=True)


def _finish(fig, height: int, words) -> go.Figure:
    """The look of the book, and the names of the nets beside their curves in the first panel."""
    for text, x, y, k in words:
        fig.add_annotation(
            text=f"<b>{text}</b>", x=x, y=y, showarrow=False, font={"color": NETS[k][2]},
            row=1, col=1,
        )  # fmt: skip
    return fig.update_layout(
        template=theme.template("light"),
        height=height,
        showlegend=False,
        margin={"l": 46, "r": 14, "t": 24, "b": 44},
    )
