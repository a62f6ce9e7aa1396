"""The template of `growing-gradients`: two panels over one axis of layers."""

import math

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, note, panel, place, sheet

__all__ = ["NETS", "growing_gradients"]

# network -> label, mark in words, colour, symbol
NETS = {
    "plain": ("without BN", "◆", theme.PLAIN, "diamond"),
    "bn": ("with BN", "●", theme.BN, "circle"),
    "bn_skip": ("BN, shortcuts", "■", theme.THIRD, "square"),
    "skip": ("shortcuts alone", "▲", theme.SECOND, "triangle-up"),
}
_PANELS = {
    "signal": ("<b>pre-activations</b>: size, by layer", (0.66, 1.0)),
    "gradient": ("<b>gradient</b> there, over that at the last layer", (0.0, 0.56)),
}


def growing_gradients(depth: int, span: tuple[float, float]) -> dict:
    """Dots for what is measured, lines for what is predicted."""
    fig = go.Figure()
    layout: dict = {"annotations": []}
    ticks = list(range(math.ceil(span[0]), math.floor(span[1]) + 1, 2))
    for k, (what, (title, up)) in enumerate(_PANELS.items(), start=1):
        for uid, (label, _, colour, symbol) in NETS.items():
            shared = {"x": list(range(1, depth + 1)), "y": [0.0] * depth, **place(k)}
            fig.add_scatter(
                **shared, mode="lines", uid=f"{uid}-{what}-said", name=f"{label}, theory",
                line={"color": colour, "width": 1.6}, hoverinfo="skip",
            )  # fmt: skip
            fig.add_scatter(
                **shared, mode="markers", uid=f"{uid}-{what}", name=label,
                marker={"color": colour, "size": 6.5, "symbol": symbol},
                hovertemplate=f"layer %{{x}}: 10^%{{y:.1f}}<extra>{label}</extra>",
            )  # fmt: skip
        layers = {
            "range": [0.3, depth + 0.7], "showgrid": False,
            "tickvals": [1, *range(10, depth + 1, 10)],
            "title": {"text": "layer (1 is next to the input)"} if k == 2 else None,
            "showticklabels": k == 2,
        }  # fmt: skip
        sizes = {
            "range": list(span), "tickvals": ticks, "zeroline": False,
            "ticktext": ["1" if t == 0 else f"1e{t}" for t in ticks],
        }  # fmt: skip
        layout |= panel(k, None, up, layers, sizes)
        layout["annotations"].append(note(title, 0, up[1] + 0.004, "left", "bottom"))
    for number, (label, mark, colour, _) in enumerate(NETS.values()):
        x, shift = (0, 0.52)[number % 2], (42, 22)[number // 2]
        word = note(f"{mark} <b>{label}</b>", x, 1.004, "left", "bottom", colour)
        layout["annotations"].append(word | {"yshift": shift})
    fig.update_layout(layout | sheet(600, 46, 14, 66, 44))
    return as_dict(fig)
