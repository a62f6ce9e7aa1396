"""bnviz.compile: what is compiled computes what PyTorch computes, whatever the program."""

import itertools
from collections.abc import Callable

import pytest
import torch

from bnviz import explorers
from bnviz.compile.build import BuildError, compiled
from bnviz.compile.emit import emit
from bnviz.compile.figure import compile_functions
from bnviz.compile.instance import Instance
from bnviz.compile.operations import Unsupported
from bnviz.compile.trace import Function, function_names, function_of

Run = Callable[..., dict[str, torch.Tensor]]


def module(*functions: Function, batch: int = 32) -> Instance:
    return Instance(compile_functions(functions, (2, batch)))


def both(call: Run, **arguments: torch.Tensor) -> tuple[dict, dict]:
    """What PyTorch computes, and what the compiled function does."""
    function = Function("f", call, arguments)
    with torch.no_grad():
        wanted = call(**arguments)
    return wanted, module(function)("f", **arguments)


def assert_same(call: Run, **arguments: torch.Tensor) -> None:
    """Equal to the last bit, for what rounds nowhere."""
    wanted, found = both(call, **arguments)
    for name, value in wanted.items():
        assert found[name].shape == value.shape
        torch.testing.assert_close(
            found[name].double(), value.double(), rtol=0, atol=0, equal_nan=True
        )


# --- single operations ---------------------------------------------------------------------------

X = torch.tensor([[0.25, -1.5, 3.0], [2.0, 0.0, -0.75], [-4.0, 1.0, 0.5], [8.0, -2.0, 1.25]])
ODD = torch.tensor([0.0, -0.0, 1.0, -2.5, torch.inf, -torch.inf, torch.nan, 1e-40, 3e38])

EXACT: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "views": lambda x: x.T.reshape(2, 6)[:, ::2].unsqueeze(1).expand(2, 4, 3).permute(2, 0, 1),
    "slices with steps": lambda x: x[1::2, -2:] + x[:2, :2],
    "flips": lambda x: x.flip(0) - x.flip(1),
    "a part of what is computed": lambda x: (x + 1)[:, 1] * (x * 2)[2, 0],
    "parts put together": lambda x: torch.cat([x, 2 * x[:1], x.flip(0)]),
    "stacks": lambda x: torch.stack([x, -x], 1),
    "sums of rows": lambda x: (x * 2).sum(1),
    "sums of columns": lambda x: (x - 1).sum(0),
    "both sums": lambda x: x.sum(0) + x.sum(1)[:3],
    "everything": lambda x: x.sum() * x.mean(),
    "means that stay": lambda x: x - x.mean((0, 1), keepdim=True),
    "largest and smallest": lambda x: x.amax(0) - x.amin(1)[:3] + x.max() + x.min(),
    "products along an axis": lambda x: x.prod(1),
    "any": lambda x: (x > 2).any(1).float(),
    "all": lambda x: (x > -2).all(0) & x.isfinite().all(),
    "truths": lambda x: torch.logical_and(x, x > 1) | torch.logical_or(x < 0, x).logical_not(),
    "argmax": lambda x: x.argmax(1) + x.argmax(),
    "choices": lambda x: torch.where(x > 0.5, x, -x * 3),
    "whole numbers": lambda x: ((x * 4).long() >> 1) ^ 5,
    "remainders": lambda x: torch.remainder(x, 1.0) + torch.remainder((x * 4).long(), 3),
    "looked up": lambda x: x[torch.tensor([3, 0, 0, -1])],
    "looked up along an axis": lambda x: x.index_select(1, torch.tensor([2, 0])),
    "gathered": lambda x: x.gather(1, torch.tensor([[0, 2], [1, 1], [2, 0], [0, 0]])),
    "put": lambda x: torch.zeros(4, 3).scatter(1, (x.abs() > 1).long()[:, :1], 7.0),
    "added where an index says": lambda x: torch.zeros(3, 3).scatter_add(
        0, (x.abs().clamp(0, 2)).long(), x
    ),
    "sorted": lambda x: x.sort(0).values + x.sort(1).values,
    "summed up": lambda x: x.cumsum(0) + x.cumsum(1),
    "numbered": lambda x: torch.arange(4)[:, None] * x + torch.arange(2.0, 8.0, 2.0),
    "products of matrices": lambda x: (
        x @ x.T + x.T.sum() + (x.T @ x).sum() + (x[:, :1] @ x[:1]).sum()
    ),
    "many products": lambda x: torch.stack([x, -x]) @ torch.stack([x.T, x.T * 2]),
    "diagonals": lambda x: (x @ x.T).diagonal() - x[:3].diagonal().sum(),
    "repeated": lambda x: x.repeat(2, 2),
    "powers": lambda x: x**2 - x**3 + 2.0 ** x.round(),
    "double": lambda x: (x.double() @ x.double().T).sum(0).float(),
    "variances": lambda x: x.T.var(1, correction=0) + (2 * x).var(0, correction=3),
    "more than the whole axis": lambda x: x[-9:] + (x + 1)[-9:] + x[:, -9:-1].sum() + x[1:9].sum(),
    "diagonals beside the middle": lambda x: torch.cat([x.diagonal(1), (x @ x.T).diagonal(-2)]),
    "repeated nothing": lambda x: x[:0].repeat(2, 1).sum(0) + x.repeat(1, 1).sum(0),
    "quotients rounded down": lambda x: x // 0.75 + x // -0.5 + (x * 4).long() // -3,
    "quotients rounded towards 0": lambda x: (
        torch.div(x, 0.75, rounding_mode="trunc")
        + torch.div((x * 4).long(), -3, rounding_mode="trunc")
    ),
    "truths added": lambda x: (x > 0) + (x > 1),
    "truths and numbers": lambda x: ((x > 0) == 2).float() + ((x > 0) < 0.5) + ((x > 0) * 3),
    "a number gives way to an array": lambda x: x + 1 / 3 == x + torch.tensor(1 / 3).double(),
    "whole numbers rounded": lambda x: ((x * 4).long() + 2**40).floor() + (x * 4).long().round(),
    "powers of whole numbers": lambda x: (x * 4).long() ** 13 + 3 ** (x * 4).long().abs(),
    "negative powers of whole numbers": lambda x: (
        ((x > 1).long() - (x < 0).long() * 2) ** (x * 2).long()
    ),
    "the largest of whole numbers": lambda x: (x * 4).long().argmax(1) + (x * 4).long().argmax(),
    "truths put": lambda x: torch.zeros(3, dtype=torch.bool).scatter(
        0, torch.tensor([2, 0]), torch.tensor([True, True])
    ),
    "the smallest whole number": lambda x: torch.stack(
        [torch.full((2,), -(2**63)) + x[0, :2].long(), torch.full((2,), 2**31 - 1) + 1]
    ),
    "bounds that are arrays": lambda x: x[:1].clamp(
        -x[:, 1:2].abs(), x.abs().mean(1, keepdim=True)
    ),
    "an empty axis": lambda x: x[:0].sum(0) + torch.cat([x[:, :0], x], 1).sum(0),
}


@pytest.mark.parametrize("what", EXACT)
def test_an_operation_gives_the_same_numbers(what):
    assert_same(lambda x: {"y": EXACT[what](x)}, x=X)


ROUNDED: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], float]] = {
    # what one rounds to, in units in the last place; comments in kernels.c derive the numbers
    "exp": (torch.exp, 1.2),
    "log": (lambda x: x.abs().log(), 1.6),
    "tanh": (torch.tanh, 2.5),
    "sigmoid": (torch.sigmoid, 4),
    "sqrt": (lambda x: x.abs().sqrt(), 0.5),
    "rsqrt": (lambda x: x.abs().rsqrt(), 1.5),
    "log10": (lambda x: x.abs().log10(), 1),  # measured, with some room
    "cos": (lambda x: torch.cos(x.clamp(-1e4, 1e4)), 0.51),
    "sin": (lambda x: torch.sin(x.clamp(-1e4, 1e4)), 0.51),
    "atan": (torch.atan, 1),  # measured, with some room
    "power": (lambda x: x.abs() ** 0.3, 0.82),
    "reciprocal": (torch.reciprocal, 0.5),
}


@pytest.mark.parametrize("what", ROUNDED)
def test_a_function_is_right_to_some_units_in_the_last_place(what):
    function, units = ROUNDED[what]
    near, wide = torch.linspace(-20, 20, 4001), torch.linspace(-104, 104, 4001)
    x = torch.cat([near, wide, torch.logspace(-38, 4, 2000), ODD])
    found = module(Function("f", lambda x: {"y": function(x)}, {"x": x}))("f", x=x)["y"]
    exponent = torch.tensor(0.3).double()  # as the float that is given
    wanted = x.abs().double() ** exponent if what == "power" else function(x.double())
    exact = wanted.float()
    same = (found == exact) | (found.isnan() & exact.isnan())
    if what == "sigmoid":
        same |= (found == 0) & (exact.abs() < torch.finfo(torch.float32).tiny)
    spacing = torch.nextafter(exact.abs(), torch.tensor(torch.inf)) - exact.abs()
    off = ((found.double() - wanted).abs() / spacing.double().clamp_min(2.0**-149))[~same]
    assert off.numel() == 0 or off.max() <= units, (what, off.max(), x[~same][off.argmax()])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_of_every_size_are_right(dtype):
    """With and without a rest beside the kernel's blocks of 4 x 8 and its panels of 128."""
    numbers = torch.arange(1700, dtype=dtype) % 7 - 3

    def call(numbers):
        found = {}
        for rows, inner, columns in itertools.product((1, 5), (3, 128, 130), (1, 7, 13)):
            a, b = (numbers[: n * inner].reshape(n, inner) for n in (rows, columns))
            turned = numbers[: inner * columns].reshape(inner, columns)
            found[f"{rows} {inner} {columns}"] = a @ b.T + (a @ turned) * 2
        return found

    assert_same(call, numbers=numbers)


def test_what_is_not_finite_goes_where_it_goes_in_pytorch():
    def call(x):
        y = torch.relu(x) + x.clamp(-1, 1)
        z = torch.where(x.isnan(), torch.zeros(()), x)
        return {"y": y, "z": z, "top": x.amax(), "low": x.amin(), "least": z.amin(), "s": z.abs()}

    assert_same(call, x=ODD)


def test_negative_zero_is_zero_and_integers_overflow_as_in_pytorch():
    def call(x):
        k = (x * 1e6).long() * 2654435761
        far = (x * 1e6).long() * 2**41
        return {
            "low": (k & 0xFFFFFFFF).float() * 2.0**-32,
            "shifted": (k >> 7) & 1023,
            "back": (far * 8) >> 3,  # a compiler may not take the one for the other
            "less": far * 8 < far * 8 + 2**62 * 3,
        }

    assert_same(call, x=X)


def test_an_axis_as_long_as_the_minibatch_is_repeated_too():
    def call(rows):
        return {"y": rows.repeat(2), "z": rows[:2].repeat(rows.shape[0], 1)}

    assert_same(call, rows=torch.arange(23))


# --- the size of the minibatch -------------------------------------------------------------------


def test_one_module_serves_every_minibatch():
    data = torch.arange(120.0).reshape(40, 3) % 7

    def call(rows, w):
        x = data[rows]  # (m, 3)
        centred = x - x.mean(0)
        h = torch.relu(centred @ w)
        return {"h": h, "loss": h.mean(), "n": torch.zeros(()) + rows.numel() / (rows.shape[0] - 1)}

    w = torch.tensor([[1.0, -1.0], [0.5, 2.0], [-1.5, 0.25]])
    one = module(Function("f", call, {"rows": torch.arange(23), "w": w}))
    for m in (2, 3, 8, 31, 32):
        rows = torch.arange(m) * 3 % 40
        wanted = call(rows, w)
        for name, value in one("f", rows=rows, w=w).items():
            torch.testing.assert_close(value, wanted[name])


def test_gradients_are_compiled_too():
    def call(rows, w):
        with torch.enable_grad():
            v = w.detach().requires_grad_()
            z = torch.tanh(rows[:, None] * v)
            x_hat = (z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt()
            (g,) = torch.autograd.grad((x_hat**3 * v).mean(), v)
        return {"g": g}

    wanted, found = both(call, rows=torch.arange(23), w=torch.linspace(0.01, 0.3, 5))
    torch.testing.assert_close(found["g"], wanted["g"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["axes", "batch-statistics"])
def test_the_same_functions_give_the_same_c(name):
    explorer = explorers.get(name)
    functions = [function_of(explorer, f) for f in function_names(explorer)]
    assert emit(functions, (2, 32)).code == emit(functions, (2, 32)).code


# --- what cannot be compiled ---------------------------------------------------------------------


def in_place(x):
    y = x.clone()
    y[0].mul_(2)  # y itself has changed now
    return y


REFUSED: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str]] = {
    "unknown": (torch.erfinv, r"aten\.erfinv.* cannot be compiled .*plainer"),
    "a shape that depends on data": (lambda x: x[x > 0], r"aten\.index.*use torch\.where"),
    "places that depend on data": (lambda x: x.nonzero(), r"aten\.nonzero.*use torch\.where"),
    "a Python number": (lambda x: x * x.sum().item(), r"leave it a tensor"),
    "a Python choice": (
        lambda x: x if x.sum() > 0 else -x,
        r"f asks for .*torch\.where instead of if",
    ),
    "two results": (lambda x: x.max(1).values, r"aten\.max\.dim.*plainer"),
    "another meaning": (lambda x: torch.round(x, decimals=1), r"aten\.round\.decimals.*decimals"),
    "descending": (lambda x: x.sort(0, descending=True).values, r"ascending order.*sort -x"),
    "order": (lambda x: x.sort(0).indices, r"aten\.sort.*not the order"),
    "half precision": (lambda x: x.half().float(), r"torch\.float16 is not .*torch\.float32"),
    "in place": (in_place, r"aten\.mul_.* in place; write x = x \+ 1"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_compiled_is_named_with_its_line(what):
    call, message = REFUSED[what]
    with pytest.raises((Unsupported, ValueError), match=message) as caught:
        both(lambda x: {"y": call(x)}, x=X)
    assert "test_compile.py:" in str(caught.value)


@pytest.mark.parametrize("call", [lambda rows: rows[:10], lambda rows: rows[10:]])
def test_what_is_true_for_some_minibatches_only_is_refused(call):
    function = Function("f", lambda rows: {"y": call(rows)}, {"rows": torch.arange(23)})
    compile_functions([function], (12, 32))  # an axis of length 0 or 1 is something else, too
    with pytest.raises(ValueError, match=r"f does something else for a minibatch of [89] than for"):
        compile_functions([function], (8, 32))


def test_a_number_of_rows_that_becomes_a_python_number_is_refused():
    with pytest.raises(ValueError, match=r"works for 23 rows only"):
        both(lambda rows: {"y": rows / len(rows)}, rows=torch.arange(23))


def test_c_that_does_not_compile_says_what_the_compiler_said():
    with pytest.raises(BuildError, match="expected"):
        compiled("int f( {")


# --- the book's own ------------------------------------------------------------------------------


@pytest.mark.long  # the pages' tests see the same numbers
@pytest.mark.parametrize("name", explorers.names())
def test_every_function_of_the_book_compiles(name):
    explorer = explorers.get(name)
    functions = [function_of(explorer, f) for f in function_names(explorer)]
    batch = max((int(c.max) for c in explorer.controls if c.name == "batch"), default=1)
    made = module(*functions, batch=batch)
    for function in functions:
        found = made(function.name, **function.arguments)
        with torch.no_grad():
            wanted = function.call(*function.arguments.values())
        for output, value in wanted.items():
            torch.testing.assert_close(
                found[output], value.detach(), rtol=1e-3, atol=1e-4, equal_nan=True
            )
