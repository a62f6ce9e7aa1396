"""The template of `taken-apart`: a row for each network."""

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, centres, curve, heading, note, panel, place, sheet

__all__ = ["ROWS", "taken_apart"]

# network -> what stands above its row, and its colour
ROWS = {
    "none": ("Without BN", theme.PLAIN),
    "weight": ("Weight normalisation", theme.PLAIN),
    "mean": ("Mean only", theme.SECOND),
    "variance": ("Spread only", theme.SECOND),
    "detached": ("Statistics as constants", theme.SECOND),
    "bn": ("All of BN", theme.BN),
    "affine": ("All of BN, only γ and β learn", theme.BN),
}
_ACROSS = ((0.0, 0.3), (0.36, 0.66), (0.72, 1.0))  # loss, accuracy, pre-activations
_TALL = 0.8  # of a row, is panel; above it stands the heading
_TITLES = ("loss (log)", "test accuracy", "before the<br>last activation")


def taken_apart(low: float, high: float, bins: int) -> dict:
    """Loss and accuracy while training, and the distribution in the last hidden layer."""
    fig = go.Figure()
    layout: dict = {"annotations": []}
    row = 1 / len(ROWS)
    for number, (uid, (label, colour)) in enumerate(ROWS.items()):
        top = 1 - number * row
        up = (top - _TALL * row, top - (1 - 0.93) * row)
        last = number == len(ROWS) - 1
        layout["annotations"].append(heading(label, 0, up[1], colour))
        k = 3 * number + 1
        _curves(fig, uid, label, colour, k)
        fig.add_scatter(
            x=centres(low, high, bins), y=[0.0] * bins, mode="lines", uid=f"{uid}-density",
            **place(k + 2), fill="tozeroy", line={"color": colour, "width": 1.6},
            name=label, hovertemplate=f"at %{{x:.1f}}<extra>{label}</extra>",
        )  # fmt: skip
        time = {"range": [0, 300], "tickvals": [0, 150, 300], "tickangle": 0, "showgrid": False}
        values = {"range": [low, high], "tickvals": [-5, 0, 5], "showgrid": False}
        for shift, across, x, y in (
            (0, _ACROSS[0], time, _loss()),
            (1, _ACROSS[1], time, _share()),
            (2, _ACROSS[2], values, {"range": [0, 0.6], "showticklabels": False, "ticks": ""}),
        ):
            layout |= panel(k + shift, across, up, x | {"showticklabels": last}, y)
    for title, across in zip(_TITLES, _ACROSS, strict=True):
        layout["annotations"].append(note(title, across[0], 1.012, "left", "bottom"))
    for across, title in zip(_ACROSS, ("training step", "training step", "value"), strict=True):
        layout["annotations"].append(
            note(title, sum(across) / 2, 0, "center", "top") | {"yshift": -22}
        )
    fig.update_layout(layout | sheet(660, 40, 12, 48, 48))
    return as_dict(fig)


def _curves(fig: go.Figure, uid: str, label: str, colour: str, k: int) -> None:
    line = {"color": colour, "width": 1.8}
    fig.add_scatter(**curve(f"{uid}-loss", k, line, f"loss, {label}", label))
    fig.add_scatter(**curve(f"{uid}-test", k + 1, line, f"accuracy, {label}", label, ".1%"))


def _loss() -> dict:
    return {
        "type": "log", "range": [-2.2, 1.2], "tickvals": [0.01, 0.1, 1, 10],
        "ticktext": ["0.01", "", "1", ""], "zeroline": False,
    }  # fmt: skip


def _share() -> dict:
    return {"range": [0, 1.04], "tickvals": [0, 0.5, 1], "ticktext": ["0", "", "1"]}
