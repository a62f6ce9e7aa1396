"""Differences of pairs with their intervals, a dot and a bar for each; zero is marked."""

from collections.abc import Mapping, Sequence
from math import exp, log10

import plotly.graph_objects as go

from bnviz.experiments.statistics import Effect
from bnviz.figure import theme

__all__ = ["effect_intervals"]

_LOOKS = (
    (theme.PLAIN, "circle"), (theme.BN, "square"), (theme.SECOND, "diamond"), (theme.THIRD, "x"),
)  # fmt: skip


def effect_intervals(
    rows: Mapping[str, Mapping[str, Effect]],
    unit: str,
    *,
    factor: bool = False,
    limits: Sequence[float] | None = None,
    percent: bool = True,
    first: int = 0,
) -> go.Figure:
    """A line for each row, a mark for each of its effects, bars over their 95 % intervals.

    Args:
        rows: what is compared -> condition -> effect; all rows have the same conditions.
        unit: of the axis below, such as "test accuracy, BN less plain".
        factor: the effects are logarithms of ratios; the axis shows ratios, 1 is marked.
        limits: of the axis, in its unit; as wide as the intervals where none are given.
        percent: write the axis in per cent.
        first: the colour to begin with: 1 leaves out that of networks without BN.
    """
    conditions = list(next(iter(rows.values())))
    fig, half = go.Figure(), (len(conditions) - 1) / 2
    for k, name in enumerate(conditions):
        colour, symbol = _LOOKS[(k + first) % len(_LOOKS)]
        found = [effects[name] for effects in rows.values()]
        low, mean, high = (
            [round(exp(v) if factor else v, 4) for v in values]
            for values in zip(*((e.low, e.mean, e.high) for e in found), strict=True)
        )
        ends = [*zip(low, high, strict=True)]
        fig.add_scatter(
            x=mean, y=[i + 0.22 * (k - half) for i in range(len(rows))], mode="markers", name=name,
            marker={"color": colour, "symbol": symbol, "size": 8}, customdata=ends,
            error_x={"type": "data", "symmetric": False, "thickness": 2, "width": 0,
                     "array": [round(b - a, 4) for a, b in zip(mean, high, strict=True)],
                     "arrayminus": [round(a - b, 4) for a, b in zip(mean, low, strict=True)]},
            hovertemplate="%{x:.3g} (%{customdata[0]:.3g} to %{customdata[1]:.3g})<extra>"
            + name + "</extra>",
        )  # fmt: skip
    _axes(fig, list(rows), unit, factor, limits, percent)
    return fig


def _axes(fig, names: list[str], unit: str, factor: bool, limits, percent: bool) -> None:
    zero = 1.0 if factor else 0.0
    ends = [v for t in fig.data for pair in t.customdata for v in pair]
    low, high = limits or (min(*ends, zero), max(*ends, zero))
    if factor:
        span = [log10(low) - 0.04, log10(high) + 0.04]
        fig.update_xaxes(type="log", range=[round(v, 3) for v in span], dtick="D2")
    else:
        pad = 0.04 * (high - low)
        fig.update_xaxes(range=[round(low - pad, 4), round(high + pad, 4)])
        if percent:
            fig.update_xaxes(tickformat="+.1%" if high - low < 0.04 else "+.0%")
    fig.add_vline(x=zero, line={"color": theme.NEUTRAL, "width": 1, "dash": "dash"})
    fig.update_xaxes(title_text=unit, fixedrange=True, zeroline=False)
    fig.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.4, -0.6],
        fixedrange=True, showgrid=False, zeroline=False,
    )  # fmt: skip
    longest = max(len(line) for name in names for line in name.split("<br>"))
    fig.update_layout(
        template=theme.template("light"), height=110 + 46 * len(names),
        margin={"l": 14 + 7 * longest, "r": 12, "t": 40, "b": 48},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
    )  # fmt: skip
