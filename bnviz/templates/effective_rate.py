"""The template of `effective-rate`."""

from typing import Any

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, curve, heading, note, panel, place, sheet, time_axis

__all__ = ["LAYERS", "effective_rate"]

LAYERS = 3
_NETS = (
    ("plain", "without BN", theme.PLAIN, (0.0, 0.465)),
    ("bn", "with BN", theme.BN, (0.535, 1.0)),
)
_DASHES = ("solid", "dash", "dot")
_LOG = {"type": "log", "zeroline": False}
_ROWS: tuple[tuple[str, str, tuple[float, float], dict[str, Any]], ...] = (
    ("norm", "length ‖W‖", (0.80, 1.0),
     _LOG | {"range": [-0.8, 2.05], "tickvals": [1, 10, 100], "ticktext": ["1", "10", "100"]}),
    ("angle", "turn per step, degrees", (0.53, 0.73),
     _LOG | {"range": [-2.2, 2.1], "tickvals": [0.01, 0.1, 1, 10, 100],
             "ticktext": ["0.01", "0.1", "1", "10", "100"]}),
    ("rate", "η/‖W‖²", (0.26, 0.46),
     _LOG | {"range": [-5.2, 1.2], "tickvals": [1e-4, 0.01, 1],
             "ticktext": ["0.0001", "0.01", "1"]}),
)  # fmt: skip
_LAST = (0.0, 0.19)


def effective_rate() -> dict:
    """A column for each network, rows for length, turn and rate; below, the accuracy of both."""
    fig = go.Figure()
    layout: dict = {"annotations": []}
    for row, (what, title, up, values) in enumerate(_ROWS):
        for column, (uid, label, colour, across) in enumerate(_NETS):
            k = 2 * row + column + 1
            _predictions(fig, uid, what, k)
            for layer, dash in enumerate(_DASHES, start=1):
                line = {"color": colour, "width": 1.8, "dash": dash}
                name = f"{label}, layer {layer}"
                fig.add_scatter(**curve(f"{uid}-{what}-{layer}", k, line, name, number=".3g"))
            time = time_axis(k, across, show=row == len(_ROWS) - 1, title="")
            layout |= panel(k, across, up, time, values | {"showticklabels": column == 0})
        layout["annotations"].append(heading(title, 0, up[1]))
    k = 2 * len(_ROWS) + 1
    share = {"range": [0, 1.03], "tickvals": [0, 0.5, 1], "tickformat": ".0%", "zeroline": False}
    for uid, label, colour, _ in _NETS:
        line = {"color": colour, "width": 2.2, "dash": "dash" if uid == "plain" else "solid"}
        fig.add_scatter(**curve(f"{uid}-test", k, line, label, number=".1%"))
    layout |= panel(k, None, _LAST, time_axis(k, (0, 1)), share)
    layout["annotations"].append(heading("accuracy on the test digits", 0, _LAST[1]))
    for _, label, colour, across in _NETS:
        words = note(f"<b>{label}</b>", across[0], 1.0, "left", "bottom", colour)
        layout["annotations"].append(words | {"yshift": 38})
        words = note("layer ― 1  - - 2  ··· 3", across[1], 1.0, "right", "bottom", colour)
        layout["annotations"].append(words | {"yshift": 18})
    fig.update_layout(layout | sheet(700, 48, 12, 64, 40))
    return as_dict(fig)


def _predictions(fig: go.Figure, uid: str, what: str, k: int) -> None:
    """What the equilibrium would be: drawn first, so that the curves lie on it."""
    names = {"angle": [f"{uid}-predicted"]}
    if uid == "bn":
        names["norm"] = [f"bn-settled-{layer}" for layer in range(1, LAYERS + 1)]
    for name in names.get(what, []):
        fig.add_scatter(
            x=[], y=[], mode="lines", uid=name, name="equilibrium", opacity=0.35, **place(k),
            line={"color": theme.NEUTRAL, "width": 6},
            hovertemplate="predicted: %{y:.3g}<extra></extra>",
        )  # fmt: skip
