"""The template of `curvature`: the loss, and the rate times the curvature."""

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, curve, note, panel, place, sheet, time_axis

__all__ = ["NETS", "curvature"]

# network -> label, mark in words, colour, dash
NETS = {
    "none": ("without BN", "- -", theme.PLAIN, "dash"),
    "mean": ("mean only", "···", theme.SECOND, "dot"),
    "bn": ("with BN", "—", theme.BN, "solid"),
}
_PANELS = {
    "loss": ("<b>loss</b> on the batch", (0.6, 1.0)),
    "product": ("<b>rate × largest curvature</b>", (0.0, 0.5)),
}


def curvature() -> dict:
    """Two panels over the training step, all networks in each; a line at 2."""
    fig = go.Figure()
    fig.add_scatter(
        x=[0, 100_000], y=[2, 2], mode="lines", uid="edge", **place(2), hoverinfo="skip",
        line={"color": theme.NEUTRAL, "width": 1.5, "dash": "dot"},
    )  # fmt: skip
    axes = {
        "loss": {"type": "log", "range": [-3, 1.5], "tickvals": [0.001, 0.01, 0.1, 1, 10]},
        "product": {"type": "log", "range": [-2.2, 1.3], "tickvals": [0.01, 0.1, 1, 2, 10]},
    }
    layout: dict = {"annotations": []}
    for k, (what, (title, up)) in enumerate(_PANELS.items(), start=1):
        for uid, (label, _, colour, dash) in NETS.items():
            line = {"color": colour, "width": 2, "dash": dash}
            fig.add_scatter(**curve(f"{uid}-{what}", k, line, f"{what}, {label}", label, ".3g"))
        time = time_axis(k, (0, 1), show=k == 2) | {"range": [0, 300]}
        layout |= panel(k, None, up, time, {"zeroline": False, **axes[what]})
        layout["annotations"].append(note(title, 0, up[1] + 0.004, "left", "bottom"))
    for (label, mark, colour, _), x in zip(NETS.values(), (0, 0.36, 0.7), strict=True):
        word = note(f"{mark} <b>{label}</b>", x, 1.004, "left", "bottom", colour)
        layout["annotations"].append(word | {"yshift": 22})
    fig.update_layout(layout | sheet(520, 46, 14, 48, 44))
    return as_dict(fig)
