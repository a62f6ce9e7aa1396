"""The template of `ics`."""

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, curve, heading, panel, time_axis

__all__ = ["ics"]

_NETS = (
    ("plain", "without BN", theme.PLAIN, "dash", 1.8),
    ("bn", "with BN", theme.BN, "solid", 3.5),
    ("noisy", "noisy BN", theme.THIRD, "dot", 1.8),  # it often lies on "with BN", so it is thinner
)
_ROWS = (  # output, heading, axis
    ("loss", "loss", {"range": [0, 3.2], "dtick": 1}),
    (
        "moved",
        "distribution: move in this step, in std",
        {"type": "log", "range": [-3.3, 2.1], "tickvals": [0.001, 0.01, 0.1, 1, 10, 100]},
    ),
    (
        "changed",
        "gradient: ‖G − G′‖ / ‖G‖",
        {"type": "log", "range": [-3.3, 1.3], "tickvals": [0.001, 0.01, 0.1, 1, 10]},
    ),
    ("cosine", "gradient: cosine of G and G′", {"range": [-1.05, 1.05]}),
)
_GAP = 0.06


def ics() -> dict:
    """Four rows over training steps, with the three networks in each."""
    fig = go.Figure()
    height = (1 - _GAP * len(_ROWS)) / len(_ROWS) + _GAP / len(_ROWS)
    layout: dict = {"annotations": []}
    for k, (output, title, axis) in enumerate(_ROWS, start=1):
        top = 1 - (k - 1) * (height + _GAP)
        for uid, label, colour, dash, width in _NETS:
            line = {"color": colour, "width": width, "dash": dash}
            trace = curve(f"{uid}-{output}", k, line, label, number=".3g")
            fig.add_scatter(**trace, showlegend=k == 1)
        up = [max(0, top - height), top]
        time = time_axis(k, (0, 1), show=k == len(_ROWS)) | {"nticks": 5}
        layout |= panel(k, None, up, time, {"zeroline": False, **axis})
        layout["annotations"].append(heading(title, 0, top))
    fig.update_layout(
        **layout,
        height=640,
        margin={"l": 44, "r": 12, "t": 48, "b": 40},
        legend={"orientation": "h", "x": 0, "y": 1.035, "yanchor": "bottom"},
    )
    return as_dict(fig)
