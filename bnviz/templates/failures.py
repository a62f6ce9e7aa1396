"""The template of `failures`."""

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import (
    as_dict,
    centres,
    curve,
    heading,
    panel,
    place,
    sheet,
    time_axis,
)

__all__ = ["failures"]

# network, heading, colour, colour scale, dash, span of its column
_NETS = (
    ("faded", "without BN:<br>fades", theme.PLAIN, theme.PLAIN_SCALE, "solid", (0.0, 0.31)),
    ("thrown", "without BN:<br>thrown", theme.PLAIN, theme.PLAIN_SCALE, "dot", (0.345, 0.655)),
    ("bn", "with BN:<br>thrown", theme.BN, theme.BN_SCALE, "solid", (0.69, 1.0)),
)
_HEAT = (0.66, 1.0)
_POWERS = ["10⁻⁶", "10⁻⁴", "0.01", "1"]
_ROWS = (  # output, heading, span, axis
    (
        "spread",
        "spread of an output over the images",
        (0.42, 0.57),
        {
            "type": "log",
            "range": [-7.2, 0.6],
            "tickvals": [1e-6, 1e-4, 0.01, 1],
            "ticktext": _POWERS,
        },
    ),
    (
        "flat",
        "units flat for every image, per cent",
        (0.21, 0.35),
        {"range": [-3, 103], "tickvals": [0, 50, 100]},
    ),
    (
        "test",
        "accuracy on the test digits",
        (0.0, 0.14),
        {"range": [0, 1.03], "tickvals": [0, 0.5, 1], "tickformat": ".0%"},
    ),
)


def failures(low: float, high: float, bins: int) -> dict:
    """A heatmap over time for each network; below, three rows of curves, all networks in each."""
    fig = go.Figure()
    layout: dict = {"annotations": []}
    for k, (uid, label, colour, scale, _, across) in enumerate(_NETS, start=1):
        fig.add_heatmap(
            x=[],
            y=centres(low, high, bins),
            z=[],
            uid=f"{uid}-heat",
            colorscale=scale,
            zmin=-2.4,
            zmax=0.3,
            showscale=False,
            name=label.replace("<br>", " "),
            hovertemplate="step %{x:.0f}, pre-activation %{y:.1f}<extra></extra>",
            **place(k),
        )
        values = {"range": [low, high], "tickvals": [-20, 0, 20], "showticklabels": k == 1}
        layout |= panel(k, across, _HEAT, time_axis(k, across, show=False), values)
        layout["annotations"].append(heading(label, across[0], _HEAT[1], colour))
    for k, (what, title, up, axis) in enumerate(_ROWS, start=len(_NETS) + 1):
        for uid, label, colour, _, dash, _ in _NETS:
            line = {"color": colour, "width": 2.2, "dash": dash}
            fig.add_scatter(
                **curve(f"{uid}-{what}", k, line, label.replace("<br>", " "), number=".3g")
            )
        last = k == len(_NETS) + len(_ROWS)
        layout |= panel(k, None, up, time_axis(k, (0, 1), show=last), {"zeroline": False, **axis})
        layout["annotations"].append(heading(title, 0, up[1]))
    fig.update_layout(layout | sheet(640, 40, 12, 44, 40))
    return as_dict(fig)
