"""The template of `broken-batchnorm`."""

import math

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, heading, panel, place, sheet

__all__ = ["broken_batchnorm"]

# net -> colour, symbol, size, dash
_NETS = {
    "right": (theme.BN, "circle-open", 10, "solid"),
    "broken": (theme.SECOND, "x", 7, "dash"),
}
_LEFT, _RIGHT = (0.0, 0.44), (0.56, 1.0)
_ROWS = ((0.755, 0.955), (0.375, 0.61), (0.0, 0.235))
# what is drawn -> heading, column, row
_PANELS = {
    "loss": ("1 loss in training", _LEFT, _ROWS[0]),
    "test": ("2 test loss", _RIGHT, _ROWS[0]),
    "out": ("3 what leaves BN", _LEFT, _ROWS[1]),
    "running": ("4 running values", _RIGHT, _ROWS[1]),
    "company": ("5 one test image", _LEFT, _ROWS[2]),
    "shift": ("6 gradient's shift", _RIGHT, _ROWS[2]),
}


def broken_batchnorm(units: int, companies: int, ends: tuple[float, float, float]) -> dict:
    """Six instruments in three rows, each with a trace for the right and one for the broken net."""
    fig = go.Figure()
    empty = {"loss": 0, "test": 0, "out": units, "running": units}
    for k, what in enumerate(_PANELS, start=1):
        for net in _NETS:
            length = {**empty, "company": companies, "shift": units}[what]
            fig.add_scatter(**_trace(net, what, length, k))
    fig.update_layout(_layout(units, companies, *ends))
    return as_dict(fig)


def _trace(net: str, what: str, length: int, k: int) -> dict:
    colour, symbol, size, dash = _NETS[net]
    marks = {"color": colour, "symbol": symbol, "size": size, "opacity": 0.8}
    line = {"color": colour, "width": 2, "dash": dash}
    looks: dict = {"mode": "markers", "marker": marks}
    if what in ("loss", "test"):
        looks = {"mode": "lines", "line": line}
    elif what == "company":
        looks = {"mode": "lines+markers", "marker": marks, "line": line}
    return {
        "x": np.arange(1, length + 1),
        "y": np.zeros(length),
        "uid": f"{net}-{what}",
        "name": net,
        **place(k),
        "hovertemplate": f"%{{x:.2f}}: %{{y:.2f}}<extra>{net}</extra>",
        **looks,
    }


def _layout(units: int, companies: int, off: float, ratio: float, top: float) -> dict:
    axes = _axes(units, companies, off, ratio, top)
    layout: dict = {"annotations": []}
    for k, (what, (title, column, row)) in enumerate(_PANELS.items(), start=1):
        x, y = ({**axis, "zeroline": False} for axis in axes[what])
        layout |= panel(k, column, row, x, y)
        layout["annotations"].append(heading(title, column[0], row[1]))
    layout["annotations"] += [
        heading("━ ○ right", 0, 1.005, theme.BN),
        heading("╍ ✕ broken", 0.56, 1.005, theme.SECOND),
    ]
    return layout | sheet(800, 38, 10, 40, 44)


def _axes(
    units: int, companies: int, off: float, ratio: float, top: float
) -> dict[str, tuple[dict, dict]]:
    """Across and up, for each panel."""
    time = {"range": [0, 60], "nticks": 4, "title": {"text": "training step"}}
    means = {"range": [-1.04 * off, 1.04 * off], "nticks": 5}
    log = 1.04 * math.log10(ratio)
    ticks = {"tickvals": [0.125, 0.5, 1, 2, 8], "ticktext": ["1/8", "1/2", "1", "2", "8"]}
    batches = {"range": [0, companies + 1], "nticks": 4}
    numbers = {"range": [0, units + 1], "nticks": 4, "title": {"text": "unit"}}
    return {
        "loss": (time, {"range": [0, top]}),
        "test": (time, {"range": [0, top]}),
        "out": (means | {"title": {"text": "mean (up: std)"}}, {"range": [0, 2.05], "nticks": 5}),
        "running": (
            means | {"title": {"text": "mean off by (up: std ×)"}},
            {"type": "log", "range": [-log, log], **ticks},
        ),
        "company": (
            batches | {"title": {"text": "test batch (up: probability)"}},
            {"range": [-0.02, 1.04], "nticks": 5},
        ),
        "shift": (numbers, {"range": [-1.04, 1.04], "nticks": 5}),
    }
