"""Effects as a small plot: a dot and an interval on each line, with zero and the margin marked."""

import math
from collections.abc import Mapping
from html import escape

from bnviz.experiments.statistics import Effect

__all__ = ["intervals"]

# Widths, and the height of a line, in pixels; a telephone shows all of it in three quarters.
_LABEL, _PLOT, _NUMBER, _LINE = 72, 180, 188, 24


def intervals(
    effects: Mapping[str, Effect], margin: float, unit: str, *, factor: bool = False
) -> str:
    """SVG in the colours of the page around it.

    Args:
        effects: condition -> effect.
        margin: where the rule draws its line.
        unit: what is measured; stands below the plot.
        factor: effects and margin are logarithms of ratios, and shown as ratios.
    """
    numbers, mark = (_ratios, f"{math.exp(margin):g}") if factor else (_numbers, f"{margin:+g}")
    none = "1" if factor else "0"  # what no effect is
    wide = max(map(len, effects))
    label = _LABEL if wide < 13 else min(6 * wide + 8, 190)
    ends = [0.0, margin, *(v for e in effects.values() for v in (e.low, e.high))]
    low, high = min(ends), max(ends)
    pad = 0.08 * (high - low)

    def x(value: float) -> float:
        return round(label + _PLOT * (value - low + pad) / (high - low + 2 * pad), 1)

    height = _LINE * len(effects) + 22
    foot = height - 18
    lines = [
        f'<line class="bnviz-zero" x1="{x(0)}" x2="{x(0)}" y1="0" y2="{foot}"/>',
        f'<line class="bnviz-margin" x1="{x(margin)}" x2="{x(margin)}" y1="0" y2="{foot}"/>',
        f'<text class="bnviz-axis" x="{x(0) - 2}" y="{height - 4}" text-anchor="end">{none}</text>',
    ]
    if margin:  # else it lies on zero, and is said
        at = f'x="{x(margin) + 2}" y="{height - 4}"'
        lines.append(f'<text class="bnviz-axis" {at}>{mark}</text>')
    for k, (name, e) in enumerate(effects.items()):
        y = _LINE * k + _LINE / 2
        lines += [
            f'<text x="0" y="{y + 4}">{escape(name)}</text>',
            f'<line class="bnviz-interval" x1="{x(e.low)}" x2="{x(e.high)}" y1="{y}" y2="{y}"/>',
            f'<circle cx="{x(e.mean)}" cy="{y}" r="4"/>',
            f'<text x="{label + _PLOT + 8}" y="{y + 4}">{numbers(e)}</text>',
        ]
    width = label + _PLOT + _NUMBER
    said = "; ".join(f"{name}: {numbers(e)}" for name, e in effects.items())
    return (
        f'<svg class="bnviz-effects" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(unit)}. {escape(said)}">{"".join(lines)}</svg>'
    )


def _numbers(e: Effect) -> str:
    """Such as "+0.067 (+0.051 to +0.090)", with minus signs."""
    text = f"{e.mean:+.3f} ({e.low:+.3f} to {e.high:+.3f})"
    return text.replace("-", "\N{MINUS SIGN}")


def _ratios(e: Effect) -> str:
    """Such as "x 1.9 (1.5 to 2.4)", with a multiplication sign."""
    mean, low, high = (f"{math.exp(v):.2g}" for v in (e.mean, e.low, e.high))
    return f"\N{MULTIPLICATION SIGN}{mean} ({low} to {high})"
