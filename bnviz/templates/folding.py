"""The template of `folding`."""

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, heading, note, panel, place, sheet, table

__all__ = ["folding"]

_BEFORE, _AFTER, _OUTPUTS = (0.755, 0.955), (0.465, 0.665), (0.0, 0.34)


def folding(units: int, inputs: int, examples: int, top: float) -> dict:
    """The weights before above those after; then the outputs by both ways on one axis."""
    fig = go.Figure()
    for k, uid in ((1, "before"), (2, "after")):
        fig.add_heatmap(
            x=list(range(inputs + 1)),
            y=list(range(units)),
            z=[[0.0] * (inputs + 1)] * units,
            uid=uid,
            hoverinfo="skip",
            **table(3),
            **place(k),
        )
    for uid, colour, symbol, size, ring in (
        ("linear", theme.NEUTRAL, "x", 6, 0),
        ("two", theme.BN, "circle", 8, 0),
        ("one", theme.SECOND, "circle-open", 15, 2),
    ):
        fig.add_scatter(
            x=list(range(1, examples + 1)),
            y=[0] * examples,
            mode="markers",
            uid=uid,
            marker={"color": colour, "symbol": symbol, "size": size, "line": {"width": ring}},
            hovertemplate="input %{x}: %{y:.2f}<extra></extra>",
            **place(3),
        )
    fig.update_layout(_layout(units, inputs, examples, top))
    return as_dict(fig)


def _layout(units: int, inputs: int, examples: int, top: float) -> dict:
    plain = {"zeroline": False, "showgrid": False}
    columns = {
        "range": [-0.5, inputs + 0.5],
        "tickvals": list(range(inputs + 1)),
        "ticktext": [f"w{k}" for k in range(1, inputs + 1)] + ["bias"],
        **plain,
    }
    rows = {
        "range": [-0.5, units - 0.5],
        "tickvals": list(range(units)),
        "ticktext": [f"unit {k}" for k in range(units, 0, -1)],
        **plain,
    }
    numbers = {"range": [0, examples + 1], "title": {"text": "input number"}, **plain}
    outputs = {"range": [-1.1 * top, 1.1 * top], "nticks": 5}
    above = _OUTPUTS[1]
    notes = [
        heading("✕ before BN", 0, above, theme.NEUTRAL),
        heading("● then BN", 0.38, above, theme.BN),
        note("<b>○ folded</b>", 1, above, "right", "bottom", theme.SECOND),
        heading("the layer before BN", 0, _BEFORE[1]),
        heading("the folded layer", 0, _AFTER[1], theme.SECOND),
    ]
    return {
        **panel(1, None, _BEFORE, columns, rows),
        **panel(2, None, _AFTER, columns, rows),
        **panel(3, None, _OUTPUTS, numbers, outputs),
        **sheet(620, 48, 10, 26, 44),
        "annotations": notes,
    }
