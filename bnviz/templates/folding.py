"""The template of `folding`."""

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, note

__all__ = ["folding"]

_BEFORE, _AFTER, _OUTPUTS = (0.755, 0.955), (0.465, 0.665), (0.0, 0.34)


def folding(units: int, inputs: int, examples: int, top: float) -> dict:
    """The weights before above those after; then the outputs by both ways on one axis."""
    fig = go.Figure()
    rows = [f"unit {k}" for k in range(units, 0, -1)]
    for n, uid in (("", "before"), ("2", "after")):
        fig.add_heatmap(
            x=list(range(inputs + 1)),
            y=list(range(units)),
            z=[[0.0] * (inputs + 1)] * units,
            uid=uid,
            xaxis=f"x{n}",
            yaxis=f"y{n}",
            colorscale=theme.SIGNED_SCALE,
            zmin=-3,
            zmax=3,
            showscale=False,
            texttemplate="%{z:.2f}",
            hoverinfo="skip",
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
            xaxis="x3",
            yaxis="y3",
            marker={"color": colour, "symbol": symbol, "size": size, "line": {"width": ring}},
            hovertemplate="input %{x}: %{y:.2f}<extra></extra>",
        )
    fig.update_layout(_layout(inputs, examples, rows, top))
    return as_dict(fig)


def _layout(inputs: int, examples: int, rows: list[str], top: float) -> dict:
    units = len(rows)
    fixed = {"fixedrange": True, "zeroline": False, "showgrid": False}
    columns = [f"w{k}" for k in range(1, inputs + 1)] + ["bias"]
    layout: dict = {}
    for n, domain in (("", _BEFORE), ("2", _AFTER)):
        layout[f"xaxis{n}"] = {
            "range": [-0.5, inputs + 0.5],
            "tickvals": list(range(inputs + 1)),
            "ticktext": columns,
            "anchor": f"y{n}",
            **fixed,
        }
        layout[f"yaxis{n}"] = {
            "range": [-0.5, units - 0.5],
            "tickvals": list(range(units)),
            "ticktext": rows,
            "domain": list(domain),
            "anchor": f"x{n}",
            **fixed,
        }
    layout["xaxis3"] = {
        "range": [0, examples + 1],
        "anchor": "y3",
        "title": {"text": "input number"},
        **fixed,
    }
    layout["yaxis3"] = {
        "range": [-1.1 * top, 1.1 * top],
        "domain": list(_OUTPUTS),
        "anchor": "x3",
        "nticks": 5,
        "fixedrange": True,
    }
    above = [note("<b>✕ before BN</b>", 0, _OUTPUTS[1], "left", "bottom", theme.NEUTRAL)]
    above.append(note("<b>● then BN</b>", 0.32, _OUTPUTS[1], "left", "bottom", theme.BN))
    above.append(note("<b>○ folded</b>", 1, _OUTPUTS[1], "right", "bottom", theme.SECOND))
    above.append(note("<b>the layer before BN</b>", 0, _BEFORE[1], "left", "bottom"))
    above.append(note("<b>the folded layer</b>", 0, _AFTER[1], "left", "bottom", theme.SECOND))
    return layout | {
        "annotations": above,
        "height": 620,
        "margin": {"l": 48, "r": 10, "t": 26, "b": 44},
        "showlegend": False,
    }
