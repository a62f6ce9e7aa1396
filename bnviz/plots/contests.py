"""Stored contests: what each side reaches with its own best settings, a dot for each seed."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from bnviz.figure import theme

__all__ = ["contests"]

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
