"""A figure's functions twice, in PyTorch and compiled, and how far they may differ.

Outputs agree when |a - b| <= 1e-5 + 1e-5 * (largest magnitude in the tensor); NaN and infinities
stand in the same places. What counts samples may differ by two of them, because a value within
rounding of a bin edge or a threshold may fall to either side; the figure says which (its `counts`).

Corners, where every control stands at an end, get 1e-3 in place of 1e-5, and histograms may be off
by a bin: there, batches of two have next to no variance to divide by, which amplifies rounding, and
BN maps all values of such a batch to beta - gamma and beta + gamma, which lie ON bin edges. What
shows single samples gets 1e-2 there.

A step of training may besides differ by what it makes of rounding in its inputs. Adam divides by
|gradient| + 1e-4, which at a learning rate of 10 makes 5000 of 1; and where a unit stands within
rounding of ReLU's kink, the gradient may take either side.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import torch

from bnviz import explorers
from bnviz.compile import artifacts
from bnviz.compile.instance import Instance
from bnviz.compile.trace import layout_of
from bnviz.figure import drawing
from bnviz.figure.controls import Choice, Slider
from bnviz.figure.explorer import Counted, Explorer, Simulation
from bnviz.maths.functional import State
from bnviz.maths.prng import Shuffler
from tests.described import value_at

TOLERANCE, AT_CORNERS = 1e-5, 1e-3
CORNERS = 48


class Twin:
    """One figure as a page computes it, with the interface of the original.

    Attributes:
        original: the Explorer.
        instance: its compiled functions.
    """

    def __init__(self, name: str):
        self.original = explorers.get(name)
        self.instance = Instance(artifacts.module(self.original))

    def run(self, function: str, values: dict | None, **inputs) -> dict[str, np.ndarray]:
        """The outputs of one function by name, for control values (None: it has no controls)."""
        if values is not None:
            numbers = self.original.numbers(values).values()
            inputs["controls"] = np.array(list(numbers), dtype=np.float32)
        given = {k: torch.as_tensor(v) for k, v in inputs.items()}
        return {k: v.numpy() for k, v in self.instance(function, **given).items()}


@cache
def twin(name: str) -> Twin:
    return Twin(name)


@cache
def layout(name: str):
    return layout_of(explorers.get(name))


@cache
def first_drawing(name: str) -> drawing.Drawing:
    """What a reader sees first; for a Simulation it takes a run of some hundred steps."""
    return artifacts.first_drawing(explorers.get(name))


def first_outputs(explorer: Explorer, values: dict) -> dict[str, torch.Tensor]:
    """All that a host binds at first: of a Simulation, the first step's outputs and `observe`."""
    if not isinstance(explorer, Simulation):
        return explorer.outputs(**values)
    controls = explorer.tensors(values)
    with torch.no_grad():
        state = explorer.initial(torch.tensor(0.0), **controls)
    return outputs_of(explorer, state, controls)


def outputs_of(simulation: Simulation, state: State, controls: dict) -> State:
    """What the first minibatch shows of a state, and `observe`."""
    rows = Shuffler(simulation.rows, 0).take(round(float(controls["batch"])))
    with torch.no_grad():
        _, outputs = simulation.step(state, rows, **controls)
        return outputs | (simulation.observe(state, **controls) if simulation.observe else {})


def grid(explorer: Explorer) -> Iterator[dict]:
    """Start values, then each control alone at each of its points: both ends, every option."""
    yield {}
    for control in explorer.controls:
        yield from ({control.name: value} for value in _points(control))


def corners(explorer: Explorer) -> list[dict]:
    """Every control at one of its ends, or a fixed sample of such combinations."""
    ends = {c.name: c.options if isinstance(c, Choice) else _points(c) for c in explorer.controls}
    ends = {
        name: values if len(values) < 5 else (values[0], values[-1])
        for name, values in ends.items()
    }
    combinations = list(itertools.product(*ends.values()))
    if len(combinations) > CORNERS:
        combinations = random.Random(0).sample(combinations, CORNERS)
    return [dict(zip(ends, combination, strict=True)) for combination in combinations]


def _points(control) -> tuple:
    if isinstance(control, Choice):
        return control.options
    if not isinstance(control, Slider):
        return (False, True)
    low, high = control.position(control.min), control.position(control.max)
    inner = [value_at(control, low + (high - low) * k / 4) for k in (1, 2, 3)]
    if control.format == "d":
        inner = [float(round(v)) for v in inner]
    return (control.min, *inner, control.max)


def assert_agree(
    counts: dict[str, Counted],
    ours: dict[str, torch.Tensor],
    theirs: dict[str, np.ndarray],
    numbers: dict,
    corner=False,
    rounding: Callable[[], dict[str, float]] | None = None,
) -> None:
    """All outputs of two hosts agree, as this module's docstring says.

    Args:
        counts: of the figure.
        rounding: gives by how much each may differ besides; it takes time, so only if one does.
    """
    assert list(ours) == list(theirs)
    batch = float(numbers.get("batch", 256))
    corner = corner or batch == 2
    for name, tensor in ours.items():
        a, b = tensor.numpy(), theirs[name]
        assert a.shape == b.shape, name
        how = counts.get(name)
        coarse = 10 * AT_CORNERS if how == "sample" else AT_CORNERS
        tolerance = coarse if corner else TOLERANCE
        wrong = differing(a, b, tolerance)
        if wrong.any() and rounding:
            wrong = differing(a, b, tolerance, rounding()[name])
        if how == "share":
            np.testing.assert_allclose(b, a, atol=2.5 / batch, err_msg=name)
        elif how in ("histogram", "log histogram"):
            for row in zip(np.atleast_2d(a), np.atleast_2d(b), np.atleast_2d(wrong), strict=True):
                check = assert_off_by_a_bin if corner else assert_two_samples_moved
                check(name, *row, logarithms=how == "log histogram")
        else:
            assert not wrong.any(), f"{name} at {numbers}: {a[wrong][:5]} is not {b[wrong][:5]}"


def differing(
    a: np.ndarray, b: np.ndarray, tolerance: float = TOLERANCE, slack: float = 0.0
) -> np.ndarray:
    """Where two arrays differ by more than the tolerance."""
    finite = np.isfinite(a) & np.isfinite(b)
    largest = np.abs(a[finite]).max(initial=0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(a - b) <= TOLERANCE + tolerance * largest + slack
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return ~np.where(finite, near, same)


def assert_two_samples_moved(
    name: str, a: np.ndarray, b: np.ndarray, wrong: np.ndarray, *, logarithms: bool
) -> None:
    """At most two samples have changed their bin, each to a neighbouring one."""
    places = np.flatnonzero(wrong)
    assert len(places) <= 4, (name, places)
    if not len(places):
        return
    if logarithms:  # which do not add up
        assert np.diff(places).min(initial=1) == 1, (name, places)
        return
    one = np.abs(a - b)[places].min()
    assert np.abs(np.cumsum(a - b)).max() <= 2.5 * one, (name, places)


def assert_off_by_a_bin(
    name: str, a: np.ndarray, b: np.ndarray, wrong: np.ndarray, *, logarithms: bool
) -> None:
    """The same mass, none of it carried further than one bin."""
    if logarithms:
        assert np.isfinite(a).all() == np.isfinite(b).all(), name
        return
    assert abs(a.sum() - b.sum()) <= TOLERANCE * a.sum(), name
    assert np.abs(np.cumsum(a - b)).sum() <= a.sum() * (1 + TOLERANCE), name
