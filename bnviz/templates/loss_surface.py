"""The template of `loss-surface`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, curve, note

__all__ = ["loss_surface"]

_COLUMNS = (
    ("plain", "without BN", theme.PLAIN, (0.0, 0.47), ("", 3)),
    ("bn", "with BN", theme.BN, (0.53, 1.0), ("2", 4)),
)
_DASHES = (("sgd", "SGD", "solid"), ("momentum", "momentum", "dash"), ("adam", "Adam", "dot"))
_UP, _DOWN = (0.42, 0.97), (0.0, 0.27)


def loss_surface(n: int) -> dict:
    """Two slices side by side on one colour scale, the losses of all runs below them."""
    fig = go.Figure()
    unit = np.round(np.linspace(-1, 1, n), 6)
    layout: dict = {"annotations": []}
    for uid, label, colour, across, (top, bottom) in _COLUMNS:
        _slice(fig, uid, label, colour, unit, top)
        for name, optimiser, dash in _DASHES:
            line = {"color": colour, "width": 1.8, "dash": dash}
            fig.add_scatter(**curve(f"{uid}-{name}", bottom, line, f"{optimiser} {label}"))
        bare = {"range": [-1.05, 1.05], "fixedrange": True, "showgrid": False, "zeroline": False}
        bare |= {"showticklabels": False, "ticks": ""}
        layout[f"xaxis{top}"] = {"domain": across, "anchor": f"y{top}", **bare}
        layout[f"yaxis{top}"] = {"domain": _UP, "anchor": f"x{top}", **bare}
        layout[f"xaxis{bottom}"] = {
            "domain": across, "anchor": f"y{bottom}", "range": [0, 240], "fixedrange": True,
            "nticks": 4, "title": {"text": "training step"},
        }  # fmt: skip
        layout[f"yaxis{bottom}"] = {
            "domain": _DOWN, "anchor": f"x{bottom}", "range": [0, 3.2], "fixedrange": True,
            "nticks": 4, "showticklabels": uid == "plain",
        }  # fmt: skip
        layout["annotations"] += [
            note(f"<b>{label}</b>", across[0], _UP[1], "left", "bottom", colour),
            note("<b>loss</b>: — SGD, - - momentum, ··· Adam" if uid == "plain" else "", across[0],
                 _DOWN[1], "left", "bottom"),
        ]  # fmt: skip
    layout["annotations"] = [a for a in layout["annotations"] if a["text"]]
    layout["annotations"] += [
        note("● start, ■ and ◆ two optimisers; dots: plateau", 0.0, _UP[0], "left", "top"),
        note("loss: green low, purple high, no colour 2.3", 0.0, _UP[0] - 0.04, "left", "top"),
    ]
    layout |= {
        "height": 600,
        "margin": {"l": 30, "r": 10, "t": 16, "b": 44},
        "showlegend": False,
    }
    fig.update_layout(layout)
    return as_dict(fig)


def _slice(fig, uid, label, colour, unit, axis) -> None:
    n = len(unit)
    place = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
    fig.add_heatmap(
        x=unit,
        y=unit,
        z=np.zeros((n, n)),
        uid=f"{uid}-surface",
        name=label,
        colorscale=_reversed(theme.SIGNED_SCALE),
        zmin=-1,
        zmax=1,
        showscale=False,
        hovertemplate="loss 2.3 × 10^%{z:.2f}<extra></extra>",
        **place,
    )
    fig.add_scatter(
        x=np.tile(unit[1:-1], n - 2),
        y=[None] * (n - 2) ** 2,
        mode="markers",
        uid=f"{uid}-flat",
        name=f"plateau {label}",
        marker={"size": 3, "color": theme.NEUTRAL},
        hoverinfo="skip",
        **place,
    )
    fig.add_scatter(
        x=[0.5, -0.5, -0.5],
        y=[-0.5, -0.5, 0.5],
        mode="lines+markers",
        uid=f"{uid}-marks",
        name=f"start and ends {label}",
        line={"color": colour, "width": 1.5},
        marker={
            "size": [11, 11, 12],
            "color": colour,
            "opacity": 1,
            "symbol": ["square", "circle", "diamond"],
        },
        hovertemplate="%{text}<extra></extra>",
        text=["along x", "start", "along y"],
        **place,
    )


def _reversed(scale: list[list]) -> list[list]:
    """Low values take the colour of high ones, and the other way round."""
    return [[1 - at, colour] for at, colour in reversed(scale)]
