"""bnviz.compile.check: a compiled function may be off by rounding, and by nothing else."""

import pytest
import torch

from bnviz import explorers
from bnviz.compile import check as checking
from bnviz.compile import figure
from bnviz.compile.check import check, reach
from bnviz.compile.figure import compile_functions
from bnviz.compile.instance import Instance
from bnviz.compile.trace import Function

X = torch.linspace(-2, 3, 64)


def limit_of(call) -> float:
    return reach(Function("f", lambda x: {"y": call(x)}, {"x": X}))["y"]


def test_what_rounds_nowhere_may_be_off_by_units_only():
    assert limit_of(lambda x: x[::2]) <= 4 * 2.0**-23 * 3
    assert limit_of(lambda x: x.long()) <= 4 * 2.0**-23 * 3


def test_what_amplifies_rounding_may_be_further_off():
    """x - mean is next to nothing where all x are alike; dividing by it leaves noise."""
    near = limit_of(lambda x: x.sum())
    assert 64 * 2.0**-25 < near < 64 * 2.0**-23 * X.abs().sum()
    assert limit_of(lambda x: (x / 1e3 + 1e3).var()) > 5 * limit_of(lambda x: x.var())


@pytest.mark.parametrize("share", [1e-2, 1e-3])
def test_a_small_mistake_is_larger_than_rounding(share):
    """A thousandth, behind two sums of 64 terms each and an exponential."""

    def step(x, factor):
        h = torch.tanh(x[:, None] * x)
        return {"y": (h @ h.T).softmax(1) * factor}

    arguments = {"x": X, "factor": torch.tensor(1.0)}
    right = Function("step", step, arguments)
    module = Instance(compile_functions([right], (1, 1)))
    check(right, module)
    wrong = Function("step", lambda x, f: step(x, f * (1 + share)), arguments)
    with pytest.raises(RuntimeError, match=r"step as compiled computes another y .*by rounding at"):
        check(wrong, module)


def test_a_nan_is_no_rounding():
    function = Function("f", lambda x: {"y": x * 2}, {"x": X})
    module = Instance(compile_functions([function], (1, 1)))
    with pytest.raises(RuntimeError, match="another y than PyTorch"):
        check(Function("f", lambda x: {"y": x * 2 + torch.nan}, {"x": X}), module)


def test_a_sample_within_rounding_of_an_edge_may_fall_on_either_side():
    """0.1 summed ten times is 1, or the number below; far from an edge there is one right side."""

    def bars(edge, wrong):
        return lambda x: {"y": ((x / 10).sum() >= edge).float() * (1 - wrong)}

    arguments = {"x": torch.ones(10)}
    module = Instance(compile_functions([Function("f", bars(1.0, 0), arguments)], (1, 1)))
    other = 1.0 - module("f", **arguments)["y"].item()
    spoiled = Function("f", lambda x: {"y": bars(1.0, 0)(x)["y"] * 0 + other}, arguments)
    near = Instance(compile_functions([spoiled], (1, 1)))
    check(Function("f", bars(1.0, 0), arguments), near)
    far = Instance(compile_functions([Function("f", bars(0.99, 1), arguments)], (1, 1)))
    with pytest.raises(RuntimeError, match="another y than PyTorch"):
        check(Function("f", bars(0.99, 0), arguments), far)


def test_every_figure_is_checked_when_it_is_compiled(monkeypatch):
    monkeypatch.setattr(checking, "_largest", lambda _: 0.0)  # no limit at all
    monkeypatch.setattr(
        figure, "compile_functions", lambda given, batches: _spoiled(given, batches)
    )
    with pytest.raises(RuntimeError, match="compute as compiled computes another"):
        figure.compile_figure(explorers.get("normalize"))


def _spoiled(given, batches):
    """Modules of functions that are a little different."""

    def other(function):
        return lambda *a: {k: v * (1 + 1e-3) for k, v in function.call(*a).items()}

    return compile_functions([Function(f.name, other(f), f.arguments) for f in given], batches)
