"""One look for every figure: colours that read on white and on near-black, two plotly templates."""

from typing import Any

__all__ = [
    "BN",
    "BN_SCALE",
    "NEUTRAL",
    "NEUTRAL_SCALE",
    "PLAIN",
    "PLAIN_SCALE",
    "SECOND",
    "SIGNED_FULL_SCALE",
    "SIGNED_PALE_SCALE",
    "SIGNED_SCALE",
    "THIRD",
    "template",
]

PLAIN = "#d9730d"  # without BN: orange, in every figure of the book
BN = "#2f7fd6"  # with BN: blue
NEUTRAL = "#808890"
SECOND = "#9a6dd7"
THIRD = "#1f9e89"


Scale = list[list[float | str]]  # [place in 0 to 1, colour], as plotly wants it


def _steps(colour: str, most: float) -> list[tuple[float, str]]:
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return [(k / 8, f"rgba({r},{g},{b},{most * k / 8:.3f})") for k in range(9)]


def _fading(colour: str, most: float = 1.0) -> Scale:
    """A colour scale from nothing to a colour, so that it works on any background."""
    return [[at, shade] for at, shade in _steps(colour, most)]


def _signed(negative: str, positive: str, most: float = 0.6) -> Scale:
    """From one colour through nothing to another; pale enough for numbers to stand on it."""
    left: Scale = [[(1 - at) / 2, shade] for at, shade in reversed(_steps(negative, most))]
    right: Scale = [[(1 + at) / 2, shade] for at, shade in _steps(positive, most)]
    return left + right[1:]


PLAIN_SCALE = _fading(PLAIN)
BN_SCALE = _fading(BN)
NEUTRAL_SCALE = _fading(NEUTRAL)
SIGNED_FULL_SCALE = _signed(SECOND, THIRD, 1.0)  # where nothing is written on it
SIGNED_SCALE = _signed(SECOND, THIRD)  # for tables of numbers; give it zmin = -zmax
SIGNED_PALE_SCALE = _signed(SECOND, THIRD, 0.22)  # for what stands back in such a table

_FONT = "-apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_MODES = {
    "light": {"text": "#2b3137", "grid": "#e7eaee", "line": "#aeb5bd", "paper": "rgba(0,0,0,0)"},
    "dark": {"text": "#d6dbe1", "grid": "#2c3238", "line": "#5b646e", "paper": "rgba(0,0,0,0)"},
}


def template(mode: str = "light") -> dict[str, Any]:
    """The plotly template of the book as a dict. Raises ValueError unless "light" or "dark"."""
    if mode not in _MODES:
        raise ValueError(f"mode is 'light' or 'dark', got {mode!r}")
    c = _MODES[mode]
    axis = {
        "gridcolor": c["grid"],
        "linecolor": c["line"],
        "zerolinecolor": c["line"],
        "zerolinewidth": 1,
        "tickcolor": c["line"],
        "tickfont": {"size": 11},
        "title": {"font": {"size": 12}, "standoff": 6},
    }
    layout = {
        "font": {"family": _FONT, "size": 12, "color": c["text"]},
        "paper_bgcolor": c["paper"],
        "plot_bgcolor": c["paper"],
        "colorway": [BN, PLAIN, THIRD, SECOND, NEUTRAL],
        "xaxis": axis,
        "yaxis": axis,
        "hoverlabel": {"font": {"size": 12}},
        "legend": {"bgcolor": "rgba(0,0,0,0)"},
        "annotationdefaults": {"font": {"size": 12, "color": c["text"]}},
    }
    numbers = {"textfont": {"color": c["text"], "size": 12}}  # plotly's own choice suits white only
    return {"layout": layout, "data": {"heatmap": [{"type": "heatmap", **numbers}]}}
