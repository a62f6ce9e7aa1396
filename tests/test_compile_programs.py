"""bnviz.compile: random programs give what PyTorch gives, for every size of the minibatch."""

import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bnviz.compile.figure import compile_functions
from bnviz.compile.instance import Instance
from bnviz.compile.trace import Function
from tests.fuzzing import examples
from tests.programs import BATCHES, STEPS, Program, arguments

MANY = 20  # programs in one module, for the compiler takes a while to start


def assert_as_in_pytorch(instance: Instance, name: str, program: Program, rows: int) -> None:
    given_ = arguments(rows)
    found = instance(name, **given_)
    for k, known in enumerate(program.run(*given_.values())):
        value, wanted = found[f"y{k}"].double(), known.x.double()
        assert value.shape == wanted.shape, (program.steps, rows)
        near = torch.zeros(()) if known.off is None else known.off
        right = (value == wanted) | (value.isnan() & wanted.isnan())
        right |= (value - wanted).abs() <= near
        assert right.all(), (program.steps, rows, value, wanted)


@settings(derandomize=True, max_examples=examples(10), phases=[Phase.generate], deadline=None)
@given(st.lists(STEPS, min_size=MANY, max_size=MANY))
def test_random_programs_give_what_pytorch_gives(steps):
    programs = {f"f{k}": Program(s) for k, s in enumerate(steps)}
    functions = [Function(name, program, arguments(23)) for name, program in programs.items()]
    # An axis of length 0 or 1 may be something else, so the compiler would refuse many of them; but
    # here all sizes are compared.
    instance = Instance(compile_functions(functions, (BATCHES[0], max(BATCHES))))
    instance.batches = [min(BATCHES), max(BATCHES)]
    for name, program in programs.items():
        for rows in BATCHES:
            assert_as_in_pytorch(instance, name, program, rows)
