"""Stored contests: what each side reaches with its own best settings, a dot for each seed."""

from collections.abc import Mapping
from statistics import median
from typing import Any, cast

import plotly.graph_objects as go

from bnviz import experiments
from bnviz.experiments.contest import Contest
from bnviz.figure import theme
from bnviz.templates.parts import pale

__all__ = ["contest_curves", "contests"]

_LOOKS = ((theme.BN, "circle"), (theme.PLAIN, "diamond"), (theme.THIRD, "square"))
_APART = 0.19  # rows of the sides of one contest, in units of the distance between contests


def contests(
    results: Mapping[str, Mapping[str, Any]], sides: Mapping[str, str], budget: int = 1
) -> go.Figure:
    """Test accuracy of every reported seed; a line marks the median.

    Args:
        results: label of a contest -> `experiments.load(...)` of it.
        sides: name of a contender -> what it is called here, in the order of drawing.
        budget: 0 for half the steps, 1 for the steps, 2 for twice as many.

    Raises:
        KeyError: for a side that a contest does not have.
    """
    fig = go.Figure()
    for k, (name, label) in enumerate(sides.items()):
        colour, symbol = _LOOKS[k]
        offset = _APART * ((len(sides) - 1) / 2 - k)
        found = {
            row: list(result["summary"][name].values())[budget]
            for row, result in enumerate(results.values())
        }
        dots = [(a, row) for row, of in found.items() for a in of["test"]]
        fig.add_scatter(
            x=[a for a, _ in dots],
            y=[offset - row for _, row in dots],
            mode="markers",
            name=label,
            marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.55},
            hovertemplate="%{x:.3f}<extra>" + label + "</extra>",
        )
        fig.add_scatter(
            x=[of["median"] for of in found.values()],
            y=[offset - row for row in found],
            mode="markers",
            marker={"symbol": "line-ns", "size": 17, "line": {"width": 3, "color": colour}},
            hovertemplate="median %{x:.3f}<extra>" + label + "</extra>",
            showlegend=False,
        )
    fig.update_yaxes(
        tickvals=[-row for row in range(len(results))],
        ticktext=list(results),
        range=[-len(results) + 0.45, 0.55],
        fixedrange=True,
    )
    fig.update_xaxes(title_text="test accuracy", fixedrange=True)
    longest = max(len(line) for label in results for line in label.split("<br>"))  # in letters
    return fig.update_layout(
        template=theme.template("light"),
        height=110 + 58 * len(results),
        margin={"l": 16 + 7 * longest, "r": 12, "t": 10, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )


def contest_curves(result: dict[str, Any], sides: Mapping[str, str]) -> go.Figure:
    """Test accuracy over the steps, with the settings that each side chose for twice the budget.

    Line: median of the seeds; band: all of them.

    Args:
        result: `experiments.load(...)` of a contest.
        sides: name of a contender -> what it is called here.

    Raises:
        KeyError: for a side that the contest does not have.
    """
    contest = cast(Contest, experiments.get(result["name"]))
    known = {contender.name: contender for contender in contest.contenders}
    steps, fig, said = list(contest.looks), go.Figure(), list[str]()
    for k, (name, label) in enumerate(sides.items()):
        colour, _ = _LOOKS[k]
        curves = contest.curves(known[name], contest.budgets[-1], result["rows"])
        columns = [(min(c), median(c), max(c)) for c in zip(*curves, strict=True)]
        low, middle, high = (list(line) for line in zip(*columns, strict=True))
        fig.add_scatter(
            x=steps + steps[::-1], y=high + low[::-1], fill="toself", fillcolor=pale(colour, 0.18),
            line={"width": 0}, hoverinfo="skip", showlegend=False,
        )  # fmt: skip
        fig.add_scatter(
            x=steps, y=middle, mode="lines", name=label, line={"color": colour, "width": 2},
            hovertemplate="%{x} steps: %{y:.1%}<extra>" + label + "</extra>",
        )  # fmt: skip
        said.append(f"{label}: {middle[-1]:.0%} after {steps[-1]} steps")
    fig.update_xaxes(title_text="training step", range=[0, steps[-1]], fixedrange=True)
    fig.update_yaxes(title_text="test accuracy", tickformat=".0%", fixedrange=True)
    return fig.update_layout(
        template=theme.template("light"), height=340, margin={"l": 62, "r": 14, "t": 10, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        meta={"alt": "Test accuracy against steps. " + "; ".join(said) + "."},
    )  # fmt: skip
