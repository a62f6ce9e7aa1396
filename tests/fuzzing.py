"""What the fuzzing tests feed to functions, and what a function may do about it."""

import math
import os
from numbers import Real

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

_TIMES = int(os.environ.get("BNVIZ_EXAMPLES", "1"))


def examples(count: int) -> int:
    """So many examples, or ten times as many where `make test-long` asks for it."""
    return count * _TIMES


steady = settings(derandomize=True, max_examples=examples(12))
few = settings(derandomize=True, max_examples=examples(5))

DTYPES = st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.bool_, np.complex128])
SHAPES = array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)
ANYTHING = DTYPES.flatmap(lambda dtype: arrays(dtype, SHAPES))


def one_in_all(*strategies):
    """`st.one_of` that counts as ONE alternative where it is nested in another."""
    return st.one_of(*strategies).map(lambda value: value)


JUNK = one_in_all(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([1.0]),
    st.sampled_from([10**400, -(10**400), 1j, b"1", np.float32(1), np.float64(1), np.ones(2)]),
)  # fmt: skip
DOCUMENTED = (TypeError, ValueError)
TENSORS = ANYTHING.map(lambda a: torch.from_numpy(a.copy()))
# one in four is no tensor at all
WHATEVER = one_in_all(TENSORS, TENSORS, TENSORS, JUNK)


def answer(function, *args, **options):
    """What a function gives; None if it raises an error of a documented kind."""
    try:
        return function(*args, **options)
    except DOCUMENTED:
        return None


def floats(shape, limit: float = 9.0, dtype=np.float32):
    """Tensors of one shape, finite unless the limit is infinite."""
    bounds = {} if np.isinf(limit) else {"min_value": -limit, "max_value": limit}
    width = {np.float32: 32, np.float64: 64}[dtype]
    elements = st.floats(width=width, **bounds)
    return arrays(dtype, shape, elements=elements).map(torch.from_numpy)


def usable(v, *axes) -> bool:
    """Whether v is a tensor of floating-point numbers with so many axes, or such lengths."""
    if not isinstance(v, torch.Tensor) or not v.is_floating_point() or v.ndim != len(axes):
        return False
    return all(n == axis if axis else n > 0 for n, axis in zip(v.shape, axes, strict=True))


def plain(v) -> bool:
    """A finite number, and no bool."""
    try:
        return isinstance(v, Real) and not isinstance(v, bool) and math.isfinite(v)
    except OverflowError:
        return False


def one_odd(good: dict, odd):
    """The good arguments, one of which is replaced."""
    return st.tuples(st.sampled_from(list(good)), odd).map(lambda pair: good | {pair[0]: pair[1]})
