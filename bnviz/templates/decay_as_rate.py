"""The template of `decay-as-rate`."""

from typing import Any

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, curve, heading, note, panel, sheet, time_axis

__all__ = ["NETS", "decay_as_rate"]

NETS = ("decay", "rate", "neither")
_LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "decay": ("decay, constant rate", {"color": theme.BN, "width": 4}),
    "rate": ("no decay, growing rate", {"color": theme.SECOND, "width": 2, "dash": "dash"}),
    "neither": ("neither", {"color": theme.THIRD, "width": 2, "dash": "dot"}),
}
_LOG = {"type": "log", "zeroline": False}
_LEFT, _RIGHT = (0.0, 0.44), (0.56, 1.0)
_PANELS: tuple[tuple[str, str, tuple, tuple, dict[str, Any]], ...] = (
    ("loss", "loss", _LEFT, (0.74, 1.0),
     _LOG | {"range": [-2.3, 0.8], "tickvals": [0.01, 0.1, 1], "ticktext": ["0.01", "0.1", "1"]}),
    ("rate", "rate η", _RIGHT, (0.74, 1.0),
     _LOG | {"range": [-2.2, 6.2], "tickvals": [0.01, 1, 100, 1e4, 1e6],
             "ticktext": ["0.01", "1", "100", "10⁴", "10⁶"]}),
    ("norm", "length ‖W‖", _LEFT, (0.37, 0.63),
     _LOG | {"range": [-0.8, 4.2], "tickvals": [1, 10, 100, 1000, 1e4],
             "ticktext": ["1", "10", "100", "1000", "10⁴"]}),
    ("effective", "effective rate", _RIGHT, (0.37, 0.63),
     _LOG | {"range": [-4.2, 1.2], "tickvals": [1e-4, 0.01, 1],
             "ticktext": ["10⁻⁴", "0.01", "1"]}),
    ("apart", "largest difference of a probability", (0.0, 1.0), (0.0, 0.26),
     _LOG | {"range": [-8.3, 0.3], "tickvals": [1e-8, 1e-6, 1e-4, 0.01, 1],
             "ticktext": ["10⁻⁸", "10⁻⁶", "10⁻⁴", "0.01", "1"]}),
)  # fmt: skip
_LACKS = {("neither", "rate"), ("decay", "apart")}  # the first is that of `decay`, the second 0


def decay_as_rate() -> dict:
    """Loss, rate, length and effective rate of three networks; how far apart they are."""
    fig = go.Figure()
    layout: dict = {"annotations": []}
    for k, (what, title, across, up, values) in enumerate(_PANELS, start=1):
        for name, (label, line) in _LOOKS.items():
            if (name, what) not in _LACKS:
                fig.add_scatter(**curve(f"{name}-{what}", k, line, label, number=".3g"))
        last = k == len(_PANELS)
        time = time_axis(k, across, show=k > 2, title="training step" if last else "")
        layout |= panel(k, across, up, time, values)
        layout["annotations"].append(heading(title, across[0], up[1]))
    for (label, line), rise in zip(_LOOKS.values(), (54, 36, 18), strict=True):
        mark = {"dash": "- -", "dot": "···"}.get(line.get("dash", ""), "━")
        words = note(f"{mark} <b>{label}</b>", 0, 1.0, "left", "bottom", line["color"])
        layout["annotations"].append(words | {"yshift": rise})
    fig.update_layout(layout | sheet(620, 48, 14, 80, 40))
    return as_dict(fig)
