"""Controls and figures out of their descriptions, and what a slider has between its stops."""

from bnviz.figure.controls import Choice, Control, Slider, Toggle
from bnviz.figure.explorer import Binding, Explorer, Simulation

KINDS = {"slider": Slider, "choice": Choice, "toggle": Toggle}
SCALES = {"linear": lambda p: p, "log10": lambda p: 10.0**p, "log2": lambda p: 2.0**p}


def control_of(data: dict) -> Control:
    """The inverse of `control_to_dict`."""
    return KINDS[data["kind"]](**{k: v for k, v in data.items() if k != "stops"})


def figure_of(data: dict, **functions) -> Explorer:
    """The inverse of `to_dict`; functions that are not handed in are missing."""
    fields = {k: v for k, v in data.items() if k not in ("kind", "speeds", "seed")}
    fields["controls"] = tuple(control_of(c) for c in data["controls"])
    fields["bindings"] = tuple(Binding(**b) for b in data["bindings"])
    if data["kind"] == "explorer":
        return Explorer(**{"compute": None, **fields, **functions})
    return Simulation(**{"compute": None, "initial": None, "step": None, **fields, **functions})


def value_at(slider: Slider, position: float) -> float:
    """The value at a position, within [min, max] whatever rounding does."""
    return min(max(SCALES[slider.scale](position), slider.min), slider.max)
