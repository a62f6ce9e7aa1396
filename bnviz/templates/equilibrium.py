"""The template of `equilibrium`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, heading, note, panel, place, sheet

__all__ = ["STARTS", "STEPS", "equilibrium"]

STEPS = 240
STARTS = (0.1, 10.0)  # lengths of the two other vectors
_LEFT, _RIGHT, _UPPER, _LOWER = (0.0, 0.43), (0.57, 1.0), (0.58, 1.0), (0.0, 0.42)
_CURVES = (  # output, heading, number of its axes, span, log10 of the axis, ticks
    ("norm", "length ‖W‖", 2, (_RIGHT, _UPPER), (-1.2, 2.2), (0.1, 1, 10, 100)),
    ("turn", "turn, degrees", 3, (_LEFT, _LOWER), (-3.2, 2.1), (0.001, 0.1, 10)),
    ("rate", "rate η/‖W‖²", 4, (_RIGHT, _LOWER), (-5.2, 2.2), (1e-4, 0.01, 1, 100)),
)


def equilibrium() -> dict:
    """One step as a triangle; length, turn and effective rate over 240 steps."""
    fig = go.Figure()
    _triangle(fig)
    across = {"range": [-0.05, 1.3], "tickvals": [0, 0.5, 1], "zeroline": False}
    up = {"range": [-0.12, 1.23], "tickvals": [0, 0.5, 1], "zeroline": False}
    layout = panel(1, _LEFT, _UPPER, across, up)
    words = [heading("one step", _LEFT[0], _UPPER[1])]
    for what, title, k, span, powers, ticks in _CURVES:
        _curves(fig, what, k, powers)
        time = {"range": [0, STEPS], "tickvals": [0, 120, 240], "zeroline": False}
        time |= {"title": {"text": "step"}, "showgrid": False} if k > 2 else {"showgrid": False}
        axis = {"type": "log", "range": list(powers), "tickvals": list(ticks), "zeroline": False}
        axis["ticktext"] = [f"{t:g}" for t in ticks]
        layout |= panel(k, *span, time, axis)
        words.append(heading(title, span[0][0], span[1][1]))
    for text, x, y, colour in (
        ("W", 0.45, -0.03, theme.NEUTRAL),
        ("−ηλW", 1.08, -0.03, theme.PLAIN),
    ):
        label = note(f"<b>{text}</b>", x, y, "center", "top", colour)
        words.append(label | {"xref": "x", "yref": "y"})
    for text, x, side, colour in (
        ("W'", 0.02, "left", theme.BN),
        ("−ηg", 1.28, "right", theme.SECOND),
    ):
        label = note(f"<b>{text}</b>", x, 1.2, side, "top", colour)
        words.append(label | {"xref": "x", "yref": "y"})
    fig.update_layout(annotations=words, **layout, **sheet(560, 44, 14, 30, 44))
    return as_dict(fig)


def _triangle(fig: go.Figure) -> None:
    arc = np.linspace(0, np.pi / 2, 46)
    fig.add_scatter(
        x=np.cos(arc).round(4), y=np.sin(arc).round(4), mode="lines", uid="arc", hoverinfo="skip",
        line={"color": theme.NEUTRAL, "width": 1, "dash": "dot"},
    )  # fmt: skip
    for uid, x, y, colour, width, name in (
        ("old", [0, 1], [0, 0], theme.NEUTRAL, 2, "W"),
        ("decayed", [1, 0.9], [0, 0], theme.PLAIN, 7, "−ηλW"),
        ("step", [0.9, 0.9], [0, 0.3], theme.SECOND, 4, "−ηg"),
        ("new", [0, 0.9], [0, 0.3], theme.BN, 3, "W after the step"),
    ):
        fig.add_scatter(
            x=x, y=y, mode="lines", uid=uid, name=name, line={"color": colour, "width": width},
            hovertemplate="(%{x:.3f}, %{y:.3f})<extra>" + name + "</extra>",
        )  # fmt: skip


def _curves(fig: go.Figure, what: str, k: int, powers: tuple[float, float]) -> None:
    ends = [10 ** powers[0], 10 ** powers[1]]
    upright = {"mode": "lines", "y": ends, "hoverinfo": "skip", **place(k)}
    dots = {"color": theme.NEUTRAL, "width": 1, "dash": "dot"}
    fig.add_scatter(x=[0, 0], uid=f"{what}-here", line=dots, **upright)
    if what == "norm":
        fig.add_scatter(x=[8, 8], uid="wait", line={"color": theme.THIRD, "width": 2}, **upright)
    fig.add_scatter(
        x=[0, STEPS], y=[1, 1], mode="lines", uid=f"{what}-settled", name="equilibrium",
        line={"color": theme.NEUTRAL, "width": 6}, opacity=0.35, **place(k),
        hovertemplate="equilibrium: %{y:.3g}<extra></extra>",
    )  # fmt: skip
    names = ("from your start", *(f"from length {s:g}" for s in STARTS))
    for i, name in reversed(list(enumerate(names))):
        fig.add_scatter(
            x=list(range(STEPS + 1)), y=[1.0] * (STEPS + 1), mode="lines", uid=f"{what}-{i}",
            name=name, **place(k),
            line={"color": theme.BN, "width": 1.2 if i else 3, "dash": "dash" if i else "solid"},
            hovertemplate="step %{x}: %{y:.3g}<extra>" + name + "</extra>",
        )  # fmt: skip
