"""bnviz.compile: what is compiled computes what PyTorch computes, whatever the program."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bnviz import explorers
from bnviz.compile.build import BuildError, compiled
from bnviz.compile.figure import compile_functions
from bnviz.compile.instance import Instance
from bnviz.compile.operations import Unsupported
from bnviz.compile.trace import Function, function_names, function_of
from tests.fuzzing import examples

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
    "an empty axis": lambda x: x[:0].sum(0) + torch.cat([x[:, :0], x], 1).sum(0),
}


@pytest.mark.parametrize("what", EXACT)
def test_an_operation_gives_the_same_numbers(what):
    assert_same(lambda x: {"y": EXACT[what](x)}, x=X)


ROUNDED: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], int]] = {
    # what one rounds to, in units in the last place; the functions' own comments say why
    "exp": (torch.exp, 2),
    "log": (lambda x: x.abs().log(), 2),
    "tanh": (torch.tanh, 4),
    "sigmoid": (torch.sigmoid, 4),
    "sqrt": (lambda x: x.abs().sqrt(), 1),
    "rsqrt": (lambda x: x.abs().rsqrt(), 3),
    "log10": (lambda x: x.abs().log10(), 3),
    "cos": (lambda x: torch.cos(x), 2),
    "atan": (torch.atan, 2),
    "reciprocal": (torch.reciprocal, 1),
}


@pytest.mark.parametrize("what", ROUNDED)
def test_a_function_is_right_to_some_units_in_the_last_place(what):
    function, units = ROUNDED[what]
    x = torch.cat([torch.linspace(-20, 20, 4001), torch.logspace(-38, 4, 2000), ODD])
    found = module(Function("f", lambda x: {"y": function(x)}, {"x": x}))("f", x=x)["y"]
    if what == "cos":  # of what is far away nobody knows the angle
        keep = ~(x.abs() > 1e4)
        x, found = x[keep], found[keep]
    wanted = function(x.double())
    exact = wanted.float()
    same = (found == exact) | (found.isnan() & exact.isnan())
    spacing = torch.nextafter(exact.abs(), torch.tensor(torch.inf)) - exact.abs()
    off = ((found.double() - wanted).abs() / spacing.double().clamp_min(2.0**-149))[~same]
    assert off.numel() == 0 or off.max() <= units, (what, off.max())


def test_what_is_not_finite_goes_where_it_goes_in_pytorch():
    def call(x):
        y = torch.relu(x) + x.clamp(-1, 1)
        z = torch.where(x.isnan(), torch.zeros(()), x)
        return {"y": y, "z": z, "top": x.amax(), "low": x.amin(), "least": z.amin(), "s": z.abs()}

    assert_same(call, x=ODD)


def test_negative_zero_is_zero_and_integers_overflow_as_in_pytorch():
    def call(x):
        k = (x * 1e6).long() * 2654435761
        return {"low": (k & 0xFFFFFFFF).float() * 2.0**-32, "shifted": (k >> 7) & 1023}

    assert_same(call, x=X)


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


# --- what cannot be compiled ---------------------------------------------------------------------


def test_an_unknown_operation_is_named():
    with pytest.raises(Unsupported, match=r"aten\.erfinv.*cannot be compiled"):
        both(lambda x: {"y": torch.erfinv(x)}, x=X)


def test_a_shape_that_depends_on_data_is_refused():
    with pytest.raises(Exception, match=r"nonzero|data"):
        both(lambda x: {"y": x[x > 0]}, x=X)


def test_a_number_of_rows_that_becomes_a_python_number_is_refused():
    with pytest.raises(ValueError, match=r"works for 23 rows only"):
        both(lambda rows: {"y": rows / len(rows)}, rows=torch.arange(23))


def test_c_that_does_not_compile_says_what_the_compiler_said():
    with pytest.raises(BuildError, match="expected"):
        compiled("int f( {")


# --- random programs -----------------------------------------------------------------------------


@dataclass
class Step:
    """One operation of a random program; arguments are picked among what there is."""

    kind: str
    a: int
    b: int
    number: int


_UNARY = {
    "neg": lambda x, k: -x,
    "abs": lambda x, k: x.abs(),
    "relu": lambda x, k: torch.relu(x),
    "flip": lambda x, k: x.flip(k % max(x.ndim, 1)) if x.ndim else x,
    "turn": lambda x, k: x.transpose(0, -1) if x.ndim else x,
    "rest": lambda x, k: x[k % 2 :] if x.ndim else x,
    "slice": lambda x, k: x[k % 2 :: 1 + k % 3] if x.ndim else x,
    "last": lambda x, k: x[..., -1:] if x.ndim else x,
    "select": lambda x, k: x[0] if x.ndim else x,
    "flat": lambda x, k: x.reshape(-1),
    "row": lambda x, k: x[None],
    "column": lambda x, k: x[..., None],
    "sum": lambda x, k: x.sum(k % x.ndim) if x.ndim else x,
    "total": lambda x, k: x.sum(),
    "amax": lambda x, k: x.amax(k % x.ndim) if x.ndim and 0 not in x.shape else x,
    "cumsum": lambda x, k: x.cumsum(k % x.ndim) if x.ndim else x,
    "sort": lambda x, k: x.sort(k % x.ndim).values if x.ndim else x,
    "whole": lambda x, k: (x.floor().long() & 15).float(),
    "twice": lambda x, k: torch.cat([x, x], k % x.ndim) if x.ndim else x,
    "any": lambda x, k: (x > 1).any(k % x.ndim).float() if x.ndim else x,
}
_BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "where": lambda x, y: torch.where(x > y, x, y),
    "less": lambda x, y: (x < y).float(),
    "minimum": lambda x, y: torch.minimum(x, y),
}
LARGEST = 2.0**20  # sums and products of quarters stay exact below


def _apply(step: Step, known: list[torch.Tensor]) -> torch.Tensor | None:
    """The next value, or None where the operation does not fit."""
    x, y = known[step.a % len(known)], known[step.b % len(known)]
    if step.kind in _UNARY:
        return _UNARY[step.kind](x, step.number)
    if step.kind == "matmul":
        fits = x.ndim == 2 and y.ndim == 2 and x.shape[1] == y.shape[0]
        return x @ y if fits else x @ x.T if x.ndim == 2 else None
    try:
        torch.broadcast_shapes(x.shape, y.shape)
    except RuntimeError:
        return None
    return _BINARY[step.kind](x, y)


def _program(steps: list[Step]) -> Run:
    """A function that takes these steps, as far as they fit and stay small enough to be exact."""
    kept: list[Step] | None = None

    def run(**inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        nonlocal kept
        known = [v.float() if v.dtype == torch.int64 else v for v in inputs.values()]
        if kept is None:  # the first call, which is no trace: which steps fit?
            fitting = []
            for step in steps:
                value = _apply(step, known)
                own = known[step.a % len(known)].shape
                if step.kind == "slice" and own[:1] not in ((3,), (5,), ()):
                    continue  # a third of a minibatch is no polynomial
                if value is None or value.numel() > 3000 or value.ndim > 4:
                    continue
                if value.numel() and not value.abs().max() < LARGEST / 64:
                    continue
                fitting.append(step)
                known.append(value)
            kept = fitting
        else:
            for step in kept:
                known.append(_apply(step, known))
        return {f"y{k}": v + 0 for k, v in enumerate(known)}

    return run


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([*_UNARY, *_BINARY, "matmul"]),
        *(st.integers(0, 11) for _ in range(3)),
    ),
    min_size=1,
    max_size=12,
)
MANY = 20  # programs in one module, for the compiler takes a while to start


@settings(derandomize=True, max_examples=examples(10), phases=[Phase.generate], deadline=None)
@given(st.lists(STEPS, min_size=MANY, max_size=MANY), st.integers(2, 32))
def test_random_programs_give_what_pytorch_gives(programs, m):
    x = torch.arange(15.0).reshape(5, 3) * 0.25 - 2
    arguments = {"x": x, "rows": torch.arange(23), "w": torch.tensor([1.0, -0.5, 2.0])}
    functions = []
    for k, steps in enumerate(programs):
        run = _program(steps)
        run(**arguments)
        functions.append(
            Function(f"f{k}", lambda *a, r=run: r(**dict(zip("xrw", a, strict=True))), arguments)
        )
    made = module(*functions)
    given_ = {**arguments, "rows": torch.arange(m) % 9}
    for function, steps in zip(functions, programs, strict=True):
        wanted = function.call(*given_.values())
        for name, value in made(function.name, **given_).items():
            torch.testing.assert_close(
                value,
                wanted[name],
                rtol=0,
                atol=0,
                equal_nan=True,
                msg=lambda t, s=steps: f"{s}: {t}",
            )


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
