"""Every size of the minibatch: each computes what PyTorch computes, and no other is taken."""

import pytest
import torch

from bnviz import explorers
from bnviz.compile import artifacts
from bnviz.compile.check import check
from bnviz.compile.figure import compile_functions
from bnviz.compile.instance import Instance
from bnviz.compile.trace import Function, function_of
from bnviz.figure.explorer import Simulation
from bnviz.maths.prng import Shuffler

TRAININGS = [n for n in explorers.names() if isinstance(explorers.get(n), Simulation)]


def of(name: str) -> tuple[Instance, Function, int, int]:
    """A training's module, its step, and the ends of its slider."""
    explorer = explorers.get(name)
    instance = Instance(artifacts.module(explorer))
    return instance, function_of(explorer, "step"), *instance.batches


def compare(name: str, sizes: list[int] | None) -> None:
    """One step from the same state with so many rows; if None, with up to 256 numbers of them."""
    instance, step, least, most = of(name)
    rows = Shuffler(explorers.get(name).rows, 0)
    for size in sizes or range(least, most + 1, 1 + (most - least) // 256):
        arguments = {**step.arguments, "rows": torch.as_tensor(rows.take(size))}
        check(Function("step", step.call, arguments), instance)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_step_is_right_at_both_ends_of_the_slider(name):
    _, _, least, most = of(name)
    compare(name, [least, most])


@pytest.mark.long
@pytest.mark.parametrize("name", TRAININGS)
def test_a_step_is_right_for_every_size_of_the_minibatch(name):
    compare(name, None)


@pytest.mark.parametrize("name", TRAININGS)
def test_no_other_size_is_taken(name):
    instance, step, least, most = of(name)
    for size in (0, least - 1, most + 1):
        arguments = {**step.arguments, "rows": torch.arange(size)}
        with pytest.raises(
            ValueError, match=f"a minibatch of {size}; this figure takes {least} to"
        ):
            instance("step", **arguments)


def test_a_module_without_its_last_row_is_found_out():
    """A check that cannot fail is a bug."""
    right = Function("f", lambda rows: {"y": rows * 1.0}, {"rows": torch.arange(5)})
    wrong = Function("f", lambda rows: {"y": rows * 1.0 * (rows < 4)}, right.arguments)
    with pytest.raises(RuntimeError, match="f as compiled computes another y"):
        check(right, Instance(compile_functions([wrong], (2, 8))))
