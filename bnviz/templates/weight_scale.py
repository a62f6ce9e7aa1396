"""The template of `weight-scale`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, heading, note, panel, place, sheet

__all__ = ["FACTORS", "weight_scale"]

DECADES = 3  # a runs from 10^-3 to 10^3
FACTORS = tuple(10 ** (k / 10) for k in range(-10 * DECADES, 10 * DECADES + 1))

_NETS = (("plain", "without BN", theme.PLAIN), ("bn", "with BN", theme.BN))
_LEFT, _RIGHT, _UPPER, _LOWER = [0, 0.43], [0.57, 1], [0.58, 1], [0, 0.42]


def weight_scale(examples: int, floor: float) -> dict:
    """Four panels: outputs, gradient towards u, gradient of W, residues."""
    fig = go.Figure()
    fig.add_scatter(
        x=[-4, 4], y=[-4, 4], mode="lines", uid="diagonal", hoverinfo="skip",
        line={"color": theme.NEUTRAL, "width": 1, "dash": "dot"},
    )  # fmt: skip
    for uid, label, colour in _NETS:
        _outputs(fig, uid, label, colour, examples)
        for axis, side in ((2, "du"), (3, "dw")):
            _curve(fig, f"{uid}-{side}", label, colour, axis, uid == "plain")
    log_a = np.log10(FACTORS).round(4)
    fig.add_scatter(
        x=log_a, y=np.zeros(len(log_a)), mode="lines", uid="predicted", name="from the formula",
        **place(4), line={"color": theme.NEUTRAL, "width": 6}, opacity=0.35,
        hoverinfo="skip",
    )  # fmt: skip
    _curve(fig, "output-residue", "output", theme.SECOND, 4, False)
    _curve(fig, "inverse-residue", "1/a law", theme.THIRD, 4, True)
    fig.update_layout(annotations=_words(), **_axes(np.log10(floor)), **sheet(620, 48, 14, 48, 44))
    return as_dict(fig)


def _outputs(fig, uid, label, colour, examples) -> None:
    fig.add_scatter(
        x=np.zeros(examples),
        y=np.zeros(examples),
        mode="markers",
        uid=f"{uid}-output",
        name=label,
        marker={
            "color": colour,
            "size": 6,
            "opacity": 0.7,
            "symbol": "diamond" if uid == "plain" else "circle",
        },
        hovertemplate=f"a = 1: %{{x:.2f}}, now: %{{y:.2f}}<extra>{label}</extra>",
    )


def _curve(fig, uid, label, colour, axis, dashed) -> None:
    log_a = np.log10(FACTORS).round(4)
    fig.add_scatter(
        x=log_a,
        y=np.zeros(len(log_a)),
        mode="lines",
        uid=uid,
        name=label,
        line={"color": colour, "width": 2, "dash": "dash" if dashed else "solid"},
        hovertemplate="a = 10^%{x:.1f}: 10^%{y:.2f}<extra>" + label + "</extra>",
        **place(axis),
    )
    fig.add_scatter(
        x=[0.0],
        y=[0.0],
        mode="markers",
        uid=f"{uid}-now",
        name=f"{label}, at your a",
        marker={"color": colour, "size": 11, "symbol": "diamond" if dashed else "circle"},
        hovertemplate="10^%{y:.2f}<extra>" + label + "</extra>",
        **place(axis),
    )


def _axes(lowest: float) -> dict:
    ratio = {"range": [-3.4, 3.4], "tickvals": [-3, -2, -1, 0, 1, 2, 3],
             "ticktext": ["0.001", "", "0.1", "1", "10", "", "1000"]}  # fmt: skip
    powers = [-12, -9, -6, -3, 0]
    tens = {
        "range": [lowest - 0.6, 1.4],
        "tickvals": powers,
        "ticktext": [f"1e{p}" if p else "1" for p in powers],
    }
    values = {"range": [-4, 4], "tickvals": [-4, -2, 0, 2, 4]}
    panels = (
        (_LEFT, _UPPER, values, values, "output at a = 1"),
        (_RIGHT, _UPPER, ratio, ratio, "a"),
        (_LEFT, _LOWER, ratio, ratio, "a"),
        (_RIGHT, _LOWER, ratio, tens, "a"),
    )
    axes = {}
    for k, (across, up, x, y, title) in enumerate(panels, start=1):
        axes |= panel(k, across, up, {**x, "title": {"text": title}, "tickangle": 0}, y)
    return axes


def _words() -> list[dict]:
    heads = (
        ("output at a", _LEFT, _UPPER),
        ("gradient towards u", _RIGHT, _UPPER),
        ("gradient of W", _LEFT, _LOWER),
        ("residue with BN", _RIGHT, _LOWER),
    )
    words = [heading(text, x[0], y[1] + 0.006) for text, x, y in heads]
    labels = (
        ("● out", -3.3, "left", theme.SECOND),
        ("◆ 1/a", 3.3, "right", theme.THIRD),
    )
    for text, x, side, colour in labels:  # down where no curve comes but at a = 1
        word = note(f"<b>{text}</b>", x, -11.4, side, "middle", colour)
        words.append(word | {"xref": "x4", "yref": "y4"})
    for (uid, label, colour), x in zip(_NETS, (_LEFT[0], _RIGHT[0]), strict=True):
        mark = "◆" if uid == "plain" else "●"
        word = note(f"{mark} <b>{label}</b>", x, 1.006, "left", "bottom", colour)
        words.append(word | {"yshift": 20})
    return words
