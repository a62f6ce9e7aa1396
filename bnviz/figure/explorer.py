"""A figure as DATA: controls + a pure PyTorch function + a figure template + bindings.

An `Explorer` says what can be moved, what is computed, and which trace shows which output. It knows
no user interface: `bnviz.jupyter.show` and the page each read the same description.
"""

import math
import re
import string
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from bnviz.figure.controls import (
    LARGEST_SEED,
    SPEEDS,
    Control,
    control_to_dict,
)

__all__ = ["COUNTS", "Binding", "Counted", "Explorer", "Simulation", "readable", "typeset"]

Counted = Literal["share", "histogram", "log histogram", "sample"]
COUNTS: tuple[Counted, ...] = get_args(Counted)
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Binding:
    """One output drives one attribute of one trace.

    Args:
        output: name of an output.
        trace: `uid` of a trace in the figure.
        attribute: what is set: "x", "y", "z", "text", ...
        index: picks an element of the output's first axes; () takes the whole.
        append: a Simulation adds the value to a history instead: a scalar to a curve, a vector as
            one more column of a heatmap. The trace's x then counts steps.
        by: of an appended array, the controls that choose which element is drawn, one per axis,
            each counted from its first value. All elements are kept, so a choice of layer or unit
            changes what is shown of a run and does not begin another.

    Raises:
        ValueError: for `by` without `append`; else the function itself can choose.
    """

    output: str
    trace: str
    attribute: str
    index: tuple[int, ...] = ()
    append: bool = False
    by: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "index", tuple(self.index))
        object.__setattr__(self, "by", tuple(self.by))
        if self.by and not self.append:
            raise ValueError(f"{self.trace}: {self.by} choose from a history; set append=True")

    def pick(self, outputs: dict[str, Tensor]) -> Tensor:
        """The bound part of the outputs. Raises KeyError for an unknown output."""
        return outputs[self.output][self.index] if self.index else outputs[self.output]


@dataclass(frozen=True)
class Explorer:
    """A figure that a function of its controls redraws.

    Args:
        name: kebab-case; also the id in the page and in links.
        title: heading above the figure.
        caption: what to look at, in one or two sentences.
        controls: in the order in which they are shown.
        compute: one float32 scalar tensor per control, by name, -> dict of float tensors.
            Same input, same output; no global state. It is traced, so no `if` on a value.
            NaN draws nothing; what the readout says is finite.
        figure: a plotly figure as a dict, with fixed axes; every bound trace has a `uid`.
        bindings: which output drives what.
        readout: one sentence with numbers, such as "mean {mean:.2f}, layer {means[4]:.1f}".
            Names are outputs and controls; formats are .Nf, .Ne, .N% and d, or words, one for each
            of the numbers 0, 1, 2, ...: `{stage:|the batch|its mean}`.
        counts: what shows samples one by one and no mean of them, output -> how: the "share" of
            them beyond a threshold, a "histogram" (its last axis is the bins), its logarithm, the
            "log histogram", or the values of one "sample". A host rounds in its own order, so a
            sample near an edge may be counted on either side; who compares hosts allows for it.

    Raises:
        ValueError: for a bad name, a repeated control, a binding to a trace that is not there, or
            another way to count.
    """

    name: str
    title: str
    caption: str
    controls: tuple[Control, ...]
    compute: Callable[..., dict[str, Tensor]] | None = field(compare=False, repr=False)
    figure: dict[str, Any] = field(repr=False)
    bindings: tuple[Binding, ...] = field(repr=False)
    readout: str = field(repr=False)
    # for who compares hosts, so no part of the description that a host gets
    counts: dict[str, Counted] = field(
        compare=False, repr=False, kw_only=True, default_factory=dict[str, Counted]
    )

    def __post_init__(self):
        object.__setattr__(self, "controls", tuple(self.controls))
        object.__setattr__(self, "bindings", tuple(self.bindings))
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name {self.name!r} is not kebab-case, such as 'scale-shift'")
        names = [c.name for c in self.controls]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.name}: two controls share a name: {names}")
        traces = {trace.get("uid") for trace in self.figure["data"]}
        for binding in self.bindings:
            if binding.trace not in traces:
                raise ValueError(f"{self.name}: no trace has the uid {binding.trace!r}")
            if not set(binding.by) <= set(names):
                raise ValueError(f"{self.name}: no control is called as in {binding.by}")
        for output, how in self.counts.items():
            if how not in COUNTS:
                raise ValueError(
                    f"{self.name}: {output!r} cannot be counted as {how!r}; choose from {COUNTS}, "
                    "or leave out what counts no samples"
                )

    def defaults(self) -> dict[str, float | str | bool]:
        """Start value of each control, by name."""
        return {c.name: c.value for c in self.controls}

    def numbers(self, values: dict[str, float | str | bool]) -> dict[str, float]:
        """Check control values and turn them into the numbers that `compute` gets.

        Controls that are not named keep their start value. Raises ValueError for an unknown name or
        a value out of range, TypeError for a value of the wrong type.
        """
        unknown = set(values) - {c.name for c in self.controls}
        if unknown:
            known = tuple(c.name for c in self.controls)
            raise ValueError(f"{self.name} has no control {sorted(unknown)}; it has {known}")
        return {c.name: c.number(values.get(c.name, c.value)) for c in self.controls}

    def tensors(self, values: dict[str, float | str | bool]) -> dict[str, Tensor]:
        """The same as float32 scalar tensors, ready for `compute`."""
        return {name: torch.tensor(v) for name, v in self.numbers(values).items()}

    def outputs(self, **values: float | str | bool) -> dict[str, Tensor]:
        """Compute in PyTorch for the given control values.

        Raises as `numbers` does, and TypeError where there is no function.
        """
        if self.compute is None:
            raise TypeError(
                f"{self.name} has no function `compute`; a Simulation has steps instead"
            )
        with torch.no_grad():
            return self.compute(**self.tensors(values))

    def places(self, numbers: dict[str, float]) -> dict[Binding, tuple[int, ...]]:
        """Which element each binding with `by` draws, for these control numbers."""
        first = {c.name: getattr(c, "min", 0) for c in self.controls}
        return {
            binding: tuple(round(numbers[name] - first[name]) for name in binding.by)
            for binding in self.bindings
            if binding.by
        }

    def say(self, values: dict[str, float], outputs: dict[str, Tensor]) -> str:
        """The readout for these control numbers and outputs."""
        return _Readout().format(self.readout, **{**values, **outputs})

    def to_dict(self) -> dict[str, Any]:
        """Everything but the function, as JSON-able data."""
        return {
            "kind": type(self).__name__.lower(),
            "name": self.name,
            "title": self.title,
            "caption": self.caption,
            "controls": [control_to_dict(c) for c in self.controls],
            "figure": self.figure,
            "bindings": [
                asdict(b) | {"index": list(b.index), "by": list(b.by)} for b in self.bindings
            ],
            "readout": self.readout,
        }


@dataclass(frozen=True)
class Simulation(Explorer):
    """An Explorer with a state that moves step by step, such as a network in training.

    `compute` is not used. The host owns the loop and hands in the rows of each minibatch, which
    come from `prng.Shuffler(rows, seed)`; how many, the control named "batch" says.

    Args:
        initial: `(seed, **controls)` -> state, a dict of float32 tensors.
        step: `(state, rows, **controls)` -> `(state, outputs)`: one step.
        observe: `(state, **controls)` -> outputs that cost more than a step, each `every` steps.
        rows: how many rows the data has.
        every: how often `observe` runs.
        history: columns kept of what is appended; when they are full, pairs of them merge.
        watch: output -> what to call it. When one is not finite, the run has diverged. In the step
            before, what is measured may be infinite already, because its square overflows.

    Raises:
        ValueError: as `Explorer`, and without a control named "batch".
    """

    initial: Callable[..., dict[str, Tensor]] = field(compare=False, repr=False)
    step: Callable[..., tuple[dict[str, Tensor], dict[str, Tensor]]] = field(
        compare=False, repr=False
    )
    observe: Callable[..., dict[str, Tensor]] | None = field(
        compare=False, repr=False, default=None
    )
    rows: int = 1
    every: int = 10
    history: int = 240
    watch: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self):
        super().__post_init__()
        if "batch" not in (names := tuple(c.name for c in self.controls)):
            raise ValueError(
                f'{self.name}: a Simulation has a control named "batch", the rows of a step; '
                f"this one has {names}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the functions, as JSON-able data."""
        own = ("rows", "every", "history", "watch")
        run = {
            "speeds": [asdict(speed) for speed in SPEEDS],
            "seed": {"min": 0, "max": LARGEST_SEED, "value": 0},
        }
        return super().to_dict() | {name: getattr(self, name) for name in own} | run

    def diverged(self, outputs: dict[str, Tensor]) -> list[str]:
        """What has left the finite numbers, as called in `watch`."""
        return [
            called
            for name, called in self.watch.items()
            if name in outputs and not torch.isfinite(outputs[name]).all()
        ]


def readable(number: float, spec: str) -> str:
    """A number in Python's format language, also one that is not finite; `page/format.js` agrees.

    A format that begins with "|" lists words for 0, 1, 2, ...; beyond them the nearest counts.

    >>> readable(-0.04, ".1f"), readable(float("nan"), ".1f"), readable(31.6, "d")
    ('0.0', 'not a number', '32')
    >>> readable(1.0, "|none|one|many"), readable(7.0, "|none|one|many")
    ('one', 'many')
    """
    if math.isnan(number):
        return "not a number"
    if math.isinf(number):
        return "infinite" if number > 0 else "minus infinite"
    if spec.startswith("|"):
        words = spec[1:].split("|")
        return words[min(max(round(number), 0), len(words) - 1)]
    text = format(round(number) if spec == "d" else number, spec)
    return re.sub(r"^-(0(\.0*)?%?)$", r"\1", text)  # no minus sign before a zero


def typeset(text: str) -> str:
    """A number of Python's format language as it stands in a sentence; `page/format.js` agrees.

    >>> typeset("-2.8"), typeset("1.5e-05"), typeset("1e+03"), typeset("1.1e+00"), typeset("0e+00")
    ('−2.8', '1.5 × 10⁻⁵', '10³', '1.1', '0')
    """
    if power := re.fullmatch(r"(-?)([\d.]+)e([+-]\d+)", text):
        sign, mantissa, exponent = power.groups()
        if not float(mantissa):
            return "0"
        factor = "" if mantissa == "1" else f"{mantissa} × "
        raised = f"{factor}10{str(int(exponent)).translate(_RAISED)}"
        text = sign + (raised if int(exponent) else mantissa)
    return re.sub("^-", "−", text)


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class _Readout(string.Formatter):
    """Fill a readout from numbers and tensors."""

    def format_field(self, value: Any, format_spec: str) -> str:
        return typeset(readable(float(value), format_spec))
