"""The template of `init-scale`: five panels over one axis of layers."""

from typing import NamedTuple

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, note, sheet

__all__ = ["PANELS", "init_scale"]


class _Panel(NamedTuple):
    title: str
    span: tuple[float, float]  # of the axis; log10, except for a share
    ticks: tuple[float, ...]


PANELS = {
    "signal": _Panel("<b>signal</b>: spread of a unit's output over the digits", (-8, 4),
                     (-8, -4, 0, 4)),
    "saturated": _Panel("<b>saturated</b>: share of inputs on the flat part", (-0.05, 1.05),
                        (0, 0.5, 1)),
    "gradient": _Panel("<b>gradient</b> of the loss by a unit's output", (-12, 8),
                       (-12, -8, -4, 0, 4, 8)),
    "weight": _Panel("<b>weight gradient</b>", (-12, 8), (-12, -8, -4, 0, 4, 8)),
    "update": _Panel("<b>update : weights</b> at rate 0.1; dashed: 1/1000", (-12, 4),
                     (-12, -9, -6, -3, 0, 3)),
}  # fmt: skip
_NETS = (("plain", "without BN", theme.PLAIN, "diamond"), ("bn", "with BN", theme.BN, "circle"))
_GAP = 0.052


def init_scale(deepest: int) -> dict:
    """One row for each of `PANELS`; a line with a marker at every layer for each net."""
    fig = go.Figure()
    height = (1 - _GAP * (len(PANELS) - 1)) / len(PANELS)
    for k, (what, panel) in enumerate(PANELS.items()):
        axis, top = "" if k == 0 else str(k + 1), 1 - k * (height + _GAP)
        _guide(fig, what, axis, deepest)
        for uid, label, colour, symbol in _NETS:
            _line(fig, f"{uid}-{what}", label, colour, symbol, axis, deepest, panel)
        fig.update_layout({f"yaxis{axis}": _levels(panel, [max(0, top - height), top])})
        fig.add_annotation(note(panel.title, 0, top + 0.002, "left", "bottom"))
    fig.update_layout(
        **sheet(760, 46, 14, 46, 44),
        xaxis={
            "range": [0, deepest + 1],
            "tickvals": [1, *range(10, deepest + 1, 10)],
            "fixedrange": True,
            "anchor": "y5",
            "title": {"text": "layer (1 is next to the input)"},
            "showgrid": False,
        },
    )
    for (_, label, colour, symbol), x in zip(_NETS, (0, 0.42), strict=True):
        mark = {"diamond": "◆", "circle": "●"}[symbol]
        word = note(f"{mark} <b>{label}</b>", x, 1.002, "left", "bottom", colour)
        fig.add_annotation(word | {"yshift": 20})
    return as_dict(fig)


def _levels(panel: _Panel, domain: list[float]) -> dict:
    share = panel.span[1] < 2
    text = [f"{t:.0%}" if share else "1" if t == 0 else f"1e{t}" for t in panel.ticks]
    return {
        "range": list(panel.span),
        "tickvals": list(panel.ticks),
        "ticktext": text,
        "domain": domain,
        "anchor": "x",
        "fixedrange": True,
        "zeroline": False,
    }


def _guide(fig, what, axis, deepest) -> None:
    """A rule of thumb says that a step should change weights by about a thousandth."""
    if what == "update":
        fig.add_scatter(
            x=[0, deepest + 1], y=[-3, -3], mode="lines", uid="guide", yaxis=f"y{axis}",
            line={"color": theme.NEUTRAL, "width": 1.5, "dash": "dot"}, hoverinfo="skip",
        )  # fmt: skip


def _line(fig, uid, label, colour, symbol, axis, deepest, panel) -> None:
    number = "%{y:.1%}" if panel.span[1] < 2 else "10^%{y:.1f}"
    fig.add_scatter(
        x=list(range(1, deepest + 1)),
        y=[0.0] * deepest,
        mode="lines+markers",
        uid=uid,
        name=label,
        yaxis=f"y{axis}",
        line={"color": colour, "width": 1.5},
        marker={"color": colour, "size": 5, "symbol": symbol},
        hovertemplate="layer %{x}: " + number + f"<extra>{label}</extra>",
    )
