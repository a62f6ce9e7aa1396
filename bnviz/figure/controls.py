"""The controls of a figure as data: Slider, Choice and Toggle know their range, not their looks."""

import bisect
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

__all__ = [
    "LARGEST_SEED",
    "SPEEDS",
    "Choice",
    "Control",
    "Slider",
    "Speed",
    "Toggle",
    "control_to_dict",
]


def _same(value: float) -> float:
    return value


def _power_of_ten(position: float) -> float:
    return 10.0**position


def _power_of_two(position: float) -> float:
    return 2.0**position


# from a value to its position, and back
_SCALES: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "linear": (_same, _same),
    "log10": (math.log10, _power_of_ten),
    "log2": (math.log2, _power_of_two),
}


@dataclass(frozen=True)
class Slider:
    """A number in [min, max], moved in steps along a linear or logarithmic scale.

    The scale turns a value into a POSITION: the value itself, log10(value) or log2(value). `step`
    counts in positions, so a log10 slider with step 0.1 has ten stops in each decade.

    A reader can only reach the STOPS. They are rounded here and nowhere else, to eight digits, as
    many as float32 can tell apart; every host looks them up.

    Args:
        name: identifier, also the argument of `compute`.
        label: what a reader sees, with its unit.
        min, max, value: range and start, in values.
        step: distance of two stops, in positions.
        scale: "linear", "log10" or "log2".
        format: how the value prints, as `explorer.readable` knows it: ".2f", ".0e", "d", or words
            for 0, 1, 2, ...: `|none|one|two`.
        note: a short text behind the value; "{other}" becomes 1 - value.
        restart: a change begins a Simulation anew, because it shapes the initial state.
        switches_on: a Toggle that moving this slider turns on.

    Raises:
        ValueError: if the range is empty, the start lies outside or between two stops, the steps do
            not lead to the end, or a log scale reaches 0.

    >>> rate = Slider("lr", "learning rate", 0.001, 10, 0.1, step=0.1, scale="log10")
    >>> rate.position(0.1), rate.stop_at(-2), rate.stops[1]
    (-1.0, 0.01, 0.0012589254)
    """

    name: str
    label: str
    min: float
    max: float
    value: float
    step: float
    scale: str = "linear"
    format: str = ".2f"
    note: str = ""
    restart: bool = False
    switches_on: str = ""
    kind: str = "slider"

    def __post_init__(self):
        if self.scale not in _SCALES:
            raise ValueError(f"{self.name}: scale {self.scale!r} is not one of {tuple(_SCALES)}")
        if not self.min < self.max or not self.min <= self.value <= self.max:
            raise ValueError(
                f"{self.name}: need min < max and min <= value <= max, "
                f"got {self.min}, {self.max}, {self.value}"
            )
        if self.scale != "linear" and self.min <= 0:
            raise ValueError(f"{self.name}: a {self.scale} scale needs min > 0, got {self.min}")
        if not self.step > 0 or abs(self._steps - round(self._steps)) > 1e-6:
            raise ValueError(
                f"{self.name}: {self._steps:g} steps of {self.step} lead from {self.min} to "
                f"{self.max} ({self.scale}); choose a step that takes a whole number of them"
            )
        if self.value not in self.stops:
            raise ValueError(
                f"{self.name}: the start {self.value} lies between two stops; "
                f"choose {self.nearest(self.value)}"
            )

    @property
    def _steps(self) -> float:
        return (self.position(self.max) - self.position(self.min)) / self.step

    @cached_property
    def stops(self) -> tuple[float, ...]:
        """Every value that a reader can choose, in order, from `min` to `max`."""
        first, last = self.position(self.min), round(self._steps)
        # nine decimals: -3 + 60 * 0.05 must be 0, not 4e-16
        positions = (round(first + k * self.step, 9) + 0.0 for k in range(1, last))
        inner = (float(f"{_SCALES[self.scale][1](p):.8g}") for p in positions)
        return (float(self.min), *inner, float(self.max))

    def nearest(self, value: float) -> float:
        """The stop that is nearest to a value, on the slider's scale.

        >>> Slider("batch", "batch size", 2, 256, 32, step=1, scale="log2").nearest(50)
        64.0
        """
        right = min(bisect.bisect_left(self.stops, value), len(self.stops) - 1)
        around = self.stops[max(right - 1, 0) : right + 1]
        return min(around, key=lambda stop: abs(self.position(stop) - self.position(value)))

    def position(self, value: float) -> float:
        """Where a value stands on the scale."""
        return _SCALES[self.scale][0](value)

    def stop_at(self, position: float) -> float:
        """The stop at a position, or the nearest to it."""
        k = round((position - self.position(self.min)) / self.step)
        return self.stops[min(max(k, 0), len(self.stops) - 1)]

    def number(self, value: object) -> float:
        """Check one value and give it back as the number that `compute` gets.

        Raises:
            TypeError: if it is not a number.
            ValueError: if it is not finite or lies outside [min, max].
        """
        if isinstance(value, (bool, str)) or not isinstance(value, (int, float)):
            raise TypeError(f"{self.name} takes a number, got {value!r}")
        if not self.min <= value <= self.max:  # nor may it be NaN
            raise ValueError(
                f"{self.name} = {value} is outside [{self.min:g}, {self.max:g}]; "
                "choose a value in that range"
            )
        return float(value)


@dataclass(frozen=True)
class Choice:
    """One of several named options; `compute` gets its index.

    >>> Choice("activation", "activation", ("sigmoid", "tanh"), "tanh").number("tanh")
    1.0
    """

    name: str
    label: str
    options: tuple[str, ...]
    value: str
    restart: bool = False
    kind: str = "choice"

    def __post_init__(self):
        object.__setattr__(self, "options", tuple(self.options))
        self.number(self.value)

    def number(self, value: object) -> float:
        """Index of an option. Raises ValueError for one that does not exist."""
        if not isinstance(value, str) or value not in self.options:
            raise ValueError(f"{self.name} = {value!r} is unknown; choose from {self.options}")
        return float(self.options.index(value))


@dataclass(frozen=True)
class Toggle:
    """On or off; `compute` gets 1 or 0.

    >>> Toggle("hold", "hold gamma and beta", False).number(True)
    1.0
    """

    name: str
    label: str
    value: bool
    restart: bool = False
    kind: str = "toggle"

    def number(self, value: object) -> float:
        """1.0 or 0.0. Raises TypeError for anything but True and False."""
        if not isinstance(value, bool):
            raise TypeError(f"{self.name} takes True or False, got {value!r}")
        return float(value)


@dataclass(frozen=True)
class Speed:
    """How fast a Simulation plays: `rate` in steps a second; None: as many as there is time for."""

    name: str
    label: str
    rate: float | None


SPEEDS = (
    Speed("slow", "5 steps a second", 5.0),
    Speed("normal", "60 steps a second", 60.0),
    Speed("fast", "as fast as it goes", None),
)
LARGEST_SEED = 9999  # seeds are whole numbers from 0 on; four digits fit into a link and a field

Control = Slider | Choice | Toggle


def control_to_dict(control: Control) -> dict[str, Any]:
    """A control as plain JSON-able data; a slider with its stops, which no host rounds anew."""
    data = asdict(control)
    if isinstance(control, Slider):
        return data | {"stops": list(control.stops)}
    return data | {"options": list(control.options)} if isinstance(control, Choice) else data
