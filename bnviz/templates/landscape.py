"""The template of `landscape` and `landscape-linear`."""

from dataclasses import dataclass

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, curve, heading, note, panel, place, sheet

__all__ = ["Ranges", "landscape"]

_NETS = (
    ("plain", "without BN", theme.PLAIN, "rgba(217,115,13,0.25)", "dash"),
    ("bn", "with BN", theme.BN, "rgba(47,127,214,0.3)", "solid"),
)
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LEFT, _RIGHT = (0.0, 0.43), (0.57, 1.0)
_LOSS, _CHANGE, _BETA = (0.72, 0.97), (0.36, 0.61), (0.0, 0.22)


@dataclass(frozen=True)
class Ranges:
    """Axes of one problem; a logarithmic one is given by powers of ten.

    Args:
        ratio: the line's axis; `ratio_log` says what it counts in.
        loss: `loss_log` likewise.
        change, beta: powers of ten.
    """

    ratio: tuple[float, float]
    ratio_log: bool
    loss: tuple[float, float]
    loss_log: bool
    change: tuple[float, float]
    beta: tuple[float, float]


def landscape(ratios: tuple[float, ...], ranges: Ranges) -> dict:
    """Left the line now, right bands over the run: loss, change of the gradient, smoothness."""
    fig = go.Figure()
    for uid, label, colour, fill, dash in _NETS:
        for what, k in (("line", 1), ("change-line", 3)):
            fig.add_scatter(
                x=[0.0, *ratios],
                y=[None] * (len(ratios) + 1),
                mode="lines+markers",
                uid=f"{uid}-{what}",
                name=label,
                **place(k),
                line={"color": colour, "width": 2, "dash": dash},
                marker={"size": 6, "color": colour},
                hovertemplate="%{x:.2f} steps ahead: %{y:.3g}<extra>" + label + "</extra>",
            )
        for what, k in (("", 2), ("change-", 4)):
            _band(fig, uid, what, k, label, colour, fill)
        line = {"color": colour, "width": 2, "dash": dash}
        fig.add_scatter(**curve(f"{uid}-beta", 5, line, label, number=".3g"))
    fig.update_layout(_layout(ranges))
    return as_dict(fig)


def _band(fig, uid, what, k, label, colour, fill) -> None:
    line = {"color": colour, "width": 1}
    for end in ("least", "most"):
        called = f"{end} on the line, {label}"
        trace = curve(f"{uid}-{what}{end}", k, line, f"{end} {label}", called, ".3g")
        filled = {"fill": "tonexty", "fillcolor": fill} if end == "most" else {}
        fig.add_scatter(**trace, **filled)


def _layout(ranges: Ranges) -> dict:
    loss = _scale(ranges.loss, ranges.loss_log)
    change, beta = _scale(ranges.change, True), _scale(ranges.beta, True)
    line = {**_scale(ranges.ratio, ranges.ratio_log), "title": {"text": "steps ahead"}}
    time = {"range": [0, 240], "nticks": 4, "title": {"text": "training step"}}
    left, right = _LEFT[0], _RIGHT[0]
    notes = [
        note("<b>loss</b>, now (log)", left, _LOSS[1], "left", "bottom"),
        note("over training", right, _LOSS[1], "left", "bottom"),
        heading("gradient changes", left, _CHANGE[1]),
        note("over training", right, _CHANGE[1], "left", "bottom"),
        note("<b>effective β-smoothness</b> (low: smooth)", left, _BETA[1], "left", "bottom"),
        heading("- - without BN", left, 1.03, theme.PLAIN),
        heading("— with BN", right, 1.03, theme.BN),
    ]
    return {
        **panel(1, _LEFT, _LOSS, line, loss),
        **panel(2, _RIGHT, _LOSS, time, loss),
        **panel(3, _LEFT, _CHANGE, line, change),
        **panel(4, _RIGHT, _CHANGE, time, change),
        **panel(5, (0.0, 1.0), _BETA, time, beta),
        **sheet(660, 44, 12, 44, 44),
        "annotations": notes,
    }


def _scale(span: tuple[float, float], log: bool) -> dict:
    """A linear axis, or a logarithmic one whose ticks are powers of ten."""
    if not log:
        return {"range": list(span), "nticks": 5}
    powers = range(int(-(-span[0] // 1)), int(span[1] // 1) + 1)
    shown = powers[:: max(1, -(-len(powers) // 5))]
    return {
        "type": "log",
        "range": list(span),
        "tickvals": [10.0**p for p in shown],
        "ticktext": [_power(p) for p in shown],
    }


def _power(p: int) -> str:
    """0.01, 1, 100, and 10⁴ where figures would be many."""
    return f"{10.0**p:g}" if -3 < p < 4 else "10" + str(p).translate(_SUPERSCRIPT)
