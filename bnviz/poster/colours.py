"""The colours of a poster: CSS colours, colour scales, and which scale a heatmap uses."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex, to_rgba

__all__ = ["Scale", "colour_bar", "rgba", "scale_of"]


def rgba(colour: str, alpha: float = 1.0) -> tuple:
    """Any CSS colour as (r, g, b, a), each in [0, 1]."""
    if colour.startswith("rgb"):
        numbers = [float(v) for v in colour[colour.index("(") + 1 : -1].split(",")]
        r, g, b, a = (*numbers, 1.0)[:4]
        return (r / 255, g / 255, b / 255, a * alpha)
    r, g, b, a = to_rgba(colour)
    return (r, g, b, a * alpha)


@dataclass(frozen=True)
class Scale:
    """A colour scale over [low, high], and the words above its colour bar."""

    stops: list
    low: float
    high: float
    title: str = ""

    def colours(self, values: np.ndarray) -> np.ndarray:
        """(...,) -> (..., 4), bytes; NaN is transparent."""
        at = np.array([float(p) for p, _ in self.stops])
        table = np.array([rgba(c) for _, c in self.stops])
        t = np.clip((values - self.low) / (self.high - self.low), 0, 1)
        mixed = np.stack([np.interp(np.nan_to_num(t), at, channel) for channel in table.T], axis=-1)
        mixed[np.isnan(values), 3] = 0
        return np.round(255 * mixed).astype(np.uint8)


def scale_of(trace: dict, layout: dict) -> Scale:
    shared = layout.get(trace.get("coloraxis"), {})
    z = np.array(trace["z"], dtype=float)
    low = shared.get("cmin", trace.get("zmin", np.nanmin(z)))
    high = shared.get("cmax", trace.get("zmax", np.nanmax(z)))
    stops = shared.get("colorscale", trace.get("colorscale", "Viridis"))
    if isinstance(stops, str):
        stops = _named(stops)
    if trace.get("reversescale", shared.get("reversescale", False)):
        stops = [[1 - p, c] for p, c in reversed(stops)]
    title = shared.get("colorbar", trace.get("colorbar", {})).get("title", "")
    title = title if isinstance(title, str) else title.get("text", "")
    return Scale(stops, float(low), float(high) if high > low else float(low) + 1, title)


def _named(name: str) -> list:
    known = {n.lower(): n for n in mpl.colormaps}
    if name.lower() not in known:
        raise ValueError(f"unknown colour scale {name!r}; give a list of [place, colour]")
    colours = mpl.colormaps[known[name.lower()]]
    return [[k / 16, to_hex(colours(k / 16))] for k in range(17)]


def colour_bar(traces: list[dict], layout: dict) -> Scale | None:
    """The scale that a colour bar explains, if any heatmap wants one."""
    for trace in traces:
        shared = layout.get(trace.get("coloraxis"), {})
        wanted = shared.get("showscale", trace.get("showscale", True))
        if trace["type"] == "heatmap" and wanted and len(trace["z"]):
            return scale_of(trace, layout)
    return None
