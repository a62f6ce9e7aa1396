"""From a traced graph to a program: every ATen operation as expressions, nests and calls.

A pointwise operation or a view computes nothing here: it says what an element is. Work is done
where an array is summed, multiplied or sorted, where a value is wanted more than once, and before a
small array is spread over a large one.
"""

import itertools
import operator
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch.fx import GraphModule, Node

from bnviz.compile import expressions as ex
from bnviz.compile.expressions import Place
from bnviz.compile.pointwise import POINTWISE, computed_in
from bnviz.compile.program import Program
from bnviz.compile.sizes import Size, product, size_of
from bnviz.compile.values import Buffer, Index, Lazy, Value, View, contiguous, row_major, spread

__all__ = ["Unsupported", "lower"]

CHEAP = 1  # what may be computed again for every element of a larger array
LONG = 64  # computed in one go, without a stop in memory
_REPEATED = (operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv)


class Unsupported(NotImplementedError):
    """An operation that cannot be compiled; the message says which, where, and what to do."""


def lower(graph: GraphModule, inputs: Sequence[str], outputs: Sequence[str]) -> Program:
    """The program of a graph.

    Args:
        graph: of core ATen operations, one symbolic size at most; nodes carry their values in
            `meta["val"]`.
        inputs, outputs: names in the order of the graph's.

    Raises:
        Unsupported: names the operation and the line of Python that it comes from.
    """
    ex.forget()
    return _Lowering(graph, list(inputs), list(outputs)).run()


class _Lowering:
    def __init__(self, graph: GraphModule, inputs: list[str], outputs: list[str]):
        self.graph, self.inputs, self.outputs = graph, inputs, outputs
        self.program = Program()
        self.known: dict[Node, Any] = {}
        self.constants: dict[int, Value] = {}

    def run(self) -> Program:
        names = iter(self.inputs)
        for node in self.graph.graph.nodes:
            if node.op == "placeholder":
                self.known[node] = self._input(node, names)
            elif node.op == "get_attr":
                self.known[node] = self._constant(getattr(self.graph, node.target))
            elif node.op == "output":
                self._output(node.args[0])
            else:
                self.known[node] = self._shared(node, self._call(node))
        self.program.prune()
        return self.program

    # --- what comes in and goes out --------------------------------------------------------------

    def _input(self, node: Node, names) -> Any:
        found = node.meta["val"]
        if not isinstance(found, torch.Tensor):
            return size_of(found)
        name, shape = next(names), tuple(map(size_of, found.shape))
        # Whole numbers come as 32 bits, which JavaScript has arrays of.
        dtype = torch.int32 if found.dtype == torch.int64 else found.dtype
        view = contiguous(Buffer(product(shape), dtype, "input", name), shape)
        self.program.inputs[name] = view
        return _cast(view, found.dtype)

    def _constant(self, tensor: torch.Tensor) -> Value:
        data = tensor.detach().contiguous()
        if data.numel() == 1:
            return _number(data.item(), data.dtype, tuple(map(size_of, data.shape)))
        if id(tensor) not in self.constants:
            dtype = data.dtype
            if dtype == torch.int64 and data.numel() and data.abs().max() < 2**31:
                data = data.to(torch.int32)
            shape = tuple(map(size_of, data.shape))
            buffer = Buffer(product(shape), data.dtype, "constant", data=data)
            self.constants[id(tensor)] = _cast(contiguous(buffer, shape), dtype)
        return self.constants[id(tensor)]

    def _output(self, results: Sequence[Node]) -> None:
        for name, node in zip(self.outputs, results, strict=True):
            x = self.value(node)
            if isinstance(x, View) and _is_whole(x):
                view = x
                view.buffer.kind, view.buffer.name = "output", name
            else:
                view = self.program.new(x.shape, x.dtype, kind="output", name=name)
                self.program.write(x, view)
            self.program.outputs[name] = view

    # --- values ----------------------------------------------------------------------------------

    def value(self, x: Any, dtype: torch.dtype | None = None) -> Value:
        """An argument as an array."""
        if isinstance(x, Node):
            x = self.known[x]
        if isinstance(x, (View, Lazy)):
            return x
        if isinstance(x, Size):
            return Lazy((), torch.int64, lambda _: ex.value(ex.at_number(x)))
        if isinstance(x, ex.Expression):
            return Lazy((), x.dtype, lambda _: x)
        kind = torch.bool if isinstance(x, bool) else torch.int64 if isinstance(x, int) else None
        return _number(x, dtype or kind or torch.float32)

    def _shared(self, node: Node, x: Any) -> Any:
        """What several others want is stored; so is what has become long."""
        if isinstance(x, Lazy) and x.cost and (len(node.users) > 1 or x.cost > LONG):
            return self.program.store(x)
        return x

    def _call(self, node: Node) -> Any:
        target = node.target
        if target in _REPEATED or target is operator.getitem or not hasattr(target, "_schema"):
            return self._python(node)
        name = str(target).removeprefix("aten.").split(".")[0].rstrip("_") or str(target)
        name = {"__rshift": "__rshift__", "__lshift": "__lshift__"}.get(name, name)
        try:
            if name in POINTWISE and name not in ("min", "max"):
                return self._pointwise(node, name)
            return getattr(self, f"op_{name.strip('_')}")(node, *node.args, **node.kwargs)
        except AttributeError as error:
            if f"op_{name.strip('_')}" not in str(error):
                raise
            raise Unsupported(_message(node)) from None

    def _python(self, node: Node) -> Any:
        """Arithmetic on sizes, which Python itself did while the function was traced."""
        args = [self.known[a] if isinstance(a, Node) else a for a in node.args]
        if node.target is operator.getitem:
            return cast(Sequence[Any], args[0])[cast(int, args[1])]
        found = node.meta["val"]
        if isinstance(found, (torch.SymInt, int)):
            return size_of(found)
        a, *rest = (self.value(x).at(()) for x in args)
        a = ex.cast(a, torch.float64)
        if not rest:  # sym_float
            return a
        sign = {operator.add: "+", operator.sub: "-", operator.mul: "*", operator.truediv: "/"}
        b = ex.cast(rest[0], torch.float64)
        return ex.make(f"({{0}} {sign[node.target]} {{1}})", torch.float64, a, b)

    def _pointwise(self, node: Node, name: str) -> Value:
        form, found = POINTWISE[name], node.meta["val"]
        shape = tuple(map(size_of, found.shape))
        arguments = [a for a in node.args if not isinstance(a, str)]
        if name == "pow":
            return self._power(node, *arguments)
        arrays = [a for a in arguments if isinstance(a, Node) and _is_tensor(a)]
        own = [a.meta["val"].dtype for a in arrays]
        dtype = computed_in(form, found.dtype, own)
        fractions = any(isinstance(a, float) for a in arguments)
        if fractions and form.computes != "result" and not dtype.is_floating_point:
            dtype = torch.float32
        values = [self._spread(self.value(a, dtype), shape) for a in arguments]
        code = form.code
        if name == "bitwise_not" and found.dtype == torch.bool:
            code = "(!{0})"
        alpha = node.kwargs.get("alpha", 1)
        if alpha != 1:
            values[1] = _mapped(f"({{0}} * {alpha})", dtype, shape, values[1:], 1, dtype)
        return _mapped(code, found.dtype, shape, values, form.cost, dtype)

    def _power(self, node: Node, base: Any, exponent: Any) -> Value:
        shape, dtype = tuple(map(size_of, node.meta["val"].shape)), node.meta["val"].dtype
        forms = {1: "{0}", 2: "({0} * {0})", 3: "({0} * {0} * {0})", 0.5: "root({0})"}
        forms |= {-0.5: "(1 / root({0}))", -1: "(1 / {0})", -2: "(1 / ({0} * {0}))"}
        if not isinstance(exponent, Node) and exponent in forms:
            x = self._spread(self.value(base), shape)
            return _mapped(forms[exponent], dtype, shape, [x], 2, dtype)
        values = [self._spread(self.value(a, dtype), shape) for a in (base, exponent)]
        return _mapped(POINTWISE["pow"].code, dtype, shape, values, 20, dtype)

    def _spread(self, x: Value, shape: Sequence[Size]) -> Value:
        """x for an operation on arrays of a shape; what costs something is computed once."""
        if tuple(x.shape) == tuple(shape):
            return x
        if isinstance(x, Lazy) and x.cost > CHEAP and product(x.shape) != product(shape):
            x = self.program.store(x)
        return spread(x, shape)

    # --- operations: constants, formats, views ---------------------------------------------------

    def op_scalar_tensor(self, node: Node, value, **_) -> Value:
        return self._filled(node, value)

    def op_full(self, node: Node, _shape, value, **_more) -> Value:
        return self._filled(node, value)

    def op_full_like(self, node: Node, _like, value, **_) -> Value:
        return self._filled(node, value)

    def _filled(self, node: Node, value) -> Value:
        found = node.meta["val"]
        x = self.value(value, found.dtype)
        shape = tuple(map(size_of, found.shape))
        return Lazy(shape, found.dtype, lambda _: ex.cast(x.at(()), found.dtype))

    def op_arange(self, node: Node, start, _end=None, step=1, **_) -> Value:
        found = node.meta["val"]
        if _end is None:
            start = 0
        shape = tuple(map(size_of, found.shape))

        def element(index: Index):
            if isinstance(start, float) or isinstance(step, float):
                number = ex.cast(ex.value(index[0]), found.dtype)
                first, by = (ex.constant(v, found.dtype) for v in (start, step))
                return ex.make("({0} + {1} * {2})", found.dtype, first, number, by)
            return ex.cast(ex.value(Place(self._size(start)) + index[0] * step), found.dtype)

        return Lazy(shape, found.dtype, element)

    def op_sym_size(self, node: Node, *_) -> Size:
        return size_of(node.meta["val"])

    op_sym_numel = op_sym_size

    def op_lift_fresh_copy(self, _node, x) -> Value:
        return self.value(x)

    op_alias = op_detach = op_lift_fresh_copy

    def op_clone(self, _node, x, **_) -> Value:
        return self.value(x)

    def op_to_copy(self, node: Node, x, **_) -> Value:
        return _cast(self.value(x), node.meta["val"].dtype)

    def op_where(self, node: Node, condition, a, b) -> Value:
        found = node.meta["val"]
        shape = tuple(map(size_of, found.shape))
        c, x, y = (self._spread(self.value(v, found.dtype), shape) for v in (condition, a, b))
        x, y = (_cast(v, found.dtype) for v in (x, y))
        return _mapped("({0} ? {1} : {2})", found.dtype, shape, [c, x, y], 1)

    def op_clamp(self, node: Node, x, low=None, high=None) -> Value:
        found, v = node.meta["val"], self.value(x)
        shape = v.shape
        for bound, code in ((low, "greater({0}, {1})"), (high, "lesser({0}, {1})")):
            if bound is not None:
                b = spread(self.value(bound, found.dtype), shape)
                v = _mapped(code, found.dtype, shape, [v, b], 1, found.dtype)
        return v

    def op_view(self, node: Node, x, _shape) -> Value:
        return self._viewed(self.value(x), tuple(map(size_of, node.meta["val"].shape)))

    op_unsafe_view = op_reshape = op_view

    def op_unsqueeze(self, node: Node, x, _axis) -> Value:
        return self._viewed(self.value(x), tuple(map(size_of, node.meta["val"].shape)))

    def op_squeeze(self, node: Node, x, *_axes) -> Value:
        return self._viewed(self.value(x), tuple(map(size_of, node.meta["val"].shape)))

    def _viewed(self, x: Value, shape: tuple[Size, ...]) -> Value:
        """The same elements in the same order with other axes."""
        if tuple(x.shape) == shape:
            return x
        long = [k for k, size in enumerate(x.shape) if size.fixed != 1]
        wanted = [k for k, size in enumerate(shape) if size.fixed != 1]
        if [x.shape[k] for k in long] == [shape[k] for k in wanted]:  # only axes of length 1 differ
            if isinstance(x, View):
                strides = [size_of(0)] * len(shape)
                for k, own in zip(wanted, long, strict=True):
                    strides[k] = x.strides[own]
                return x.with_axes(shape, tuple(strides))

            def element(index: Index):
                inner = [Place()] * len(x.shape)
                for k, own in zip(wanted, long, strict=True):
                    inner[own] = index[k]
                return x.at(inner)

            return Lazy(shape, x.dtype, element, x.cost)
        if isinstance(x, Lazy) and (folded := _folded(x, shape)) is not None:
            return folded
        packed = self.program.packed(x)
        return packed.with_axes(shape, row_major(shape))

    def op_permute(self, _node: Node, x, axes) -> Value:
        v = self.value(x)
        axes = [a % len(v.shape) for a in axes]
        shape = tuple(v.shape[a] for a in axes)
        if isinstance(v, View):
            return v.with_axes(shape, tuple(v.strides[a] for a in axes))
        back = [axes.index(k) for k in range(len(axes))]
        return Lazy(shape, v.dtype, lambda index: v.at([index[k] for k in back]), v.cost)

    def op_expand(self, node: Node, x, _shape, **_) -> Value:
        shape = tuple(map(size_of, node.meta["val"].shape))
        return self._spread(self.value(x), shape)

    def op_select(self, _node: Node, x, axis, at) -> Value:
        v = self.value(x)
        axis %= len(v.shape)
        place = at if at >= 0 else None
        chosen = size_of(at) if place is not None else v.shape[axis] + at
        shape = (*v.shape[:axis], *v.shape[axis + 1 :])
        if isinstance(v, View):
            strides = (*v.strides[:axis], *v.strides[axis + 1 :])
            offset = v.offset + v.strides[axis] * chosen
            return v.with_axes(shape, strides, offset)

        def element(index: Index):
            return v.at([*index[:axis], ex.at_number(chosen), *index[axis:]])

        return Lazy(shape, v.dtype, element, v.cost)

    def op_slice(self, node: Node, x, axis=0, start=None, _end=None, step=1) -> Value:
        v = self.value(x)
        axis %= len(v.shape)
        shape = tuple(map(size_of, node.meta["val"].shape))
        begin = self._size(start or 0)
        if begin.fixed is not None and begin.fixed < 0:
            begin = v.shape[axis] + begin
        if isinstance(v, View):
            strides = (*v.strides[:axis], v.strides[axis] * step, *v.strides[axis + 1 :])
            return v.with_axes(shape, strides, v.offset + v.strides[axis] * begin)

        def element(index: Index):
            moved = index[axis] * step + ex.at_number(begin)
            return v.at([*index[:axis], moved, *index[axis + 1 :]])

        return Lazy(shape, v.dtype, element, v.cost)

    def _size(self, x: Any) -> Size:
        return self.known[x] if isinstance(x, Node) else size_of(x)

    def op_split_with_sizes(self, _node: Node, x, sizes, axis=0) -> list[Value]:
        v = self.program.store(self.value(x))
        axis %= len(v.shape)
        parts, begin = [], size_of(0)
        for size in map(self._size, sizes):
            shape = (*v.shape[:axis], size, *v.shape[axis + 1 :])
            parts.append(v.with_axes(shape, v.strides, v.offset + v.strides[axis] * begin))
            begin = begin + size
        return parts

    def op_diagonal(self, node: Node, x, offset=0, first=0, second=1) -> Value:
        if offset:
            raise Unsupported(_message(node))
        v = self.program.store(self.value(x))
        a, b = first % len(v.shape), second % len(v.shape)
        rest = [k for k in range(len(v.shape)) if k not in (a, b)]
        shape = tuple(map(size_of, node.meta["val"].shape))
        strides = (*(v.strides[k] for k in rest), v.strides[a] + v.strides[b])
        return v.with_axes(shape, strides)

    def op_flip(self, _node: Node, x, axes) -> Value:
        v = self.value(x)
        axes = [a % len(v.shape) for a in axes]
        last = {a: v.shape[a] + -1 for a in axes}
        if isinstance(v, View):
            strides = tuple(s * -1 if k in axes else s for k, s in enumerate(v.strides))
            offset = v.offset
            for a in axes:
                offset = offset + v.strides[a] * last[a]
            return v.with_axes(v.shape, strides, offset)

        def element(index: Index):
            return v.at(
                [ex.at_number(last[k]) + i * -1 if k in axes else i for k, i in enumerate(index)]
            )

        return Lazy(v.shape, v.dtype, element, v.cost)

    def op_repeat(self, node: Node, x, _times) -> Value:
        v = self.value(x)
        shape = tuple(map(size_of, node.meta["val"].shape))
        missing = len(shape) - len(v.shape)
        own = (*[size_of(1)] * missing, *v.shape)
        if any(a != b and a.fixed != 1 for a, b in zip(own, shape, strict=True)):
            # a whole array again and again: [repetition, own] per axis, then folded
            wide: list[Size] = []
            for a, b in zip(own, shape, strict=True):
                n = b.fixed // a.fixed if a.fixed and b.fixed is not None else None
                if n is None:
                    raise Unsupported(_message(node))
                wide += [size_of(n), a]
            v = self._viewed(v, tuple(s for a in own for s in (size_of(1), a)))
            return self._viewed(self.program.packed(spread(v, wide)), shape)
        return self._spread(v, shape)

    def op_cat(self, node: Node, parts, axis=0) -> Value:
        found = node.meta["val"]
        shape = tuple(map(size_of, found.shape))
        axis %= len(shape)
        target, begin = self.program.new(shape, found.dtype), size_of(0)
        for x in map(self.value, parts):
            if len(x.shape) != len(shape):  # an empty vector counts for nothing
                continue
            offset = target.offset + target.strides[axis] * begin
            self.program.write(
                _cast(x, found.dtype), target.with_axes(tuple(x.shape), target.strides, offset)
            )
            begin = begin + x.shape[axis]
        return target

    # --- operations: looking up ------------------------------------------------------------------

    def op_index(self, node: Node, x, which) -> Value:
        v = self.value(x)
        shape = tuple(map(size_of, node.meta["val"].shape))
        places = [k for k, w in enumerate(which) if w is not None]
        if any(b - a != 1 for a, b in itertools.pairwise(places)):
            raise Unsupported(_message(node))
        lookups = [self.program.store(self.value(which[k])) for k in places]
        if any(w.dtype == torch.bool for w in lookups):
            raise Unsupported(_message(node, "a shape that depends on data; use torch.where"))
        wide = max(len(w.shape) for w in lookups)
        first = places[0]
        own = shape[first : first + wide]

        def element(index: Index):
            at = index[first : first + wide]
            found = []
            for k, w in zip(places, lookups, strict=True):
                found.append(_inside(spread(w, own).at(at), v.shape[k]))
            return v.at([*index[:first], *found, *index[first + wide :]])

        return Lazy(shape, v.dtype, element, v.cost + 1)

    def op_index_select(self, node: Node, x, axis, which) -> Value:
        v, w = self.value(x), self.program.store(self.value(which))
        axis %= len(v.shape)
        shape = tuple(map(size_of, node.meta["val"].shape))

        def element(index: Index):
            place = _inside(w.at([index[axis]]), v.shape[axis])
            return v.at([*index[:axis], place, *index[axis + 1 :]])

        return Lazy(shape, v.dtype, element, v.cost + 1)

    def op_gather(self, node: Node, x, axis, which, **_) -> Value:
        v, w = self.program.store(self.value(x)), self.value(which)
        axis %= len(v.shape)

        def element(index: Index):
            place = _inside(w.at(index), v.shape[axis])
            return v.at([*index[:axis], place, *index[axis + 1 :]])

        return Lazy(w.shape, v.dtype, element, w.cost + 1)

    # --- operations: along an axis ---------------------------------------------------------------

    def _fold(self, node: Node, x, axes, sign: str, finish: str = "{0}") -> Value:
        found, v = node.meta["val"], self.value(x)
        rank = len(v.shape)
        axes = [axes] if isinstance(axes, int) else axes
        axes = sorted(a % rank for a in axes) if axes else list(range(rank))
        v = _cast(v, found.dtype)
        total = self.program.reduce(v, axes, sign, found.dtype, finish)
        shape = tuple(map(size_of, found.shape))
        return self._viewed(total, shape)

    def op_sum(self, node: Node, x, axes=None, *_, **_more) -> Value:
        return self._fold(node, x, axes, "+")

    def op_mean(self, node: Node, x, axes=None, *_, **_more) -> Value:
        v = self.value(x)
        rank = len(v.shape)
        axes = [axes] if isinstance(axes, int) else axes
        n = product(v.shape[a % rank] for a in (axes or range(rank)))
        return self._fold(
            node, x, axes, "+", f"{{0}} / ({ex.C_TYPE[node.meta['val'].dtype]})({n.code()})"
        )

    def op_var(self, node: Node, x, axes=None, *, correction=1, keepdim=False) -> Value:
        """The mean square of what is left without the mean; divided by n - correction."""
        found, v = node.meta["val"], self.value(x)
        rank, dtype = len(v.shape), v.dtype
        axes = sorted(a % rank for a in ([axes] if isinstance(axes, int) else axes or range(rank)))
        n, c = product(v.shape[a] for a in axes), ex.C_TYPE[dtype]
        v = self.program.store(v) if v.cost > CHEAP else v
        mean = self.program.reduce(v, axes, "+", dtype, f"{{0}} / ({c})({n.code()})")
        kept = tuple(size_of(1) if k in axes else size for k, size in enumerate(v.shape))
        wide = spread(self._viewed(mean, kept), v.shape)
        gap = _mapped("({0} - {1})", dtype, v.shape, [v, wide], 1)
        square = _mapped("({0} * {1})", dtype, v.shape, [gap, gap], 1)
        total = self.program.reduce(
            square, axes, "+", dtype, f"{{0}} / ({c})({n.code()} - {correction})"
        )
        return self._viewed(total, tuple(map(size_of, found.shape)))

    def op_amax(self, node: Node, x, axes=None, *_) -> Value:
        return self._fold(node, x, axes, "max")

    def op_amin(self, node: Node, x, axes=None, *_) -> Value:
        return self._fold(node, x, axes, "min")

    def op_max(self, node: Node, x) -> Value:
        return self._fold(node, x, None, "max")

    def op_min(self, node: Node, x) -> Value:
        return self._fold(node, x, None, "min")

    def op_prod(self, node: Node, x, axes=None, *_, **_more) -> Value:
        return self._fold(node, x, axes, "*")

    def op_any(self, node: Node, x, axes=None, *_) -> Value:
        return self._fold(node, x, axes, "|")

    def op_argmax(self, node: Node, x, axis=None, _keep=False) -> Value:
        v = self.value(x)
        if axis is None:
            v, axis = self._viewed(v, (product(v.shape),)), 0
        moved, shape = self._last(v, axis)
        found = self.program.new(shape, torch.int64)
        sizes = (product(shape), moved.shape[-1])
        self.program.call(_called("argmax", v, *sizes), [moved], [found])
        return self._viewed(found, tuple(map(size_of, node.meta["val"].shape)))

    def _last(self, v: Value, axis: int) -> tuple[View, tuple[Size, ...]]:
        """In memory with one axis behind all others; and the shape of the others."""
        axis %= len(v.shape)
        order = [*(k for k in range(len(v.shape)) if k != axis), axis]
        back = [order.index(k) for k in range(len(order))]
        shape = tuple(v.shape[k] for k in order)
        turned = Lazy(shape, v.dtype, lambda index: v.at([index[k] for k in back]), v.cost)
        if axis == len(v.shape) - 1:
            return self.program.packed(v), shape[:-1]
        return self.program.packed(turned), shape[:-1]

    def op_log_softmax(self, _node: Node, x, axis, _half=False) -> Value:
        return self._rows("log_softmax", x, axis, scratch=1)

    def op_softmax(self, _node: Node, x, axis, _half=False) -> Value:
        return self._rows("softmax", x, axis)

    def op_cumsum(self, node: Node, x, axis, **_) -> Value:
        return self._rows("cumulate", _cast(self.value(x), node.meta["val"].dtype), axis)

    def _rows(self, function: str, x, axis: int, scratch: int = 0) -> Value:
        """One function along an axis, which leaves the shape as it is.

        scratch: more arrays of that shape, for the function's own use.
        """
        v = x if isinstance(x, (View, Lazy)) else self.value(x)
        axis %= len(v.shape)
        rows, others = self._last(v, axis)
        found, *more = (self.program.new(rows.shape, v.dtype) for _ in range(1 + scratch))
        sizes = (product(others), rows.shape[-1])
        form = _called(function, v, *sizes, pointers=2 + scratch)
        self.program.call(form, [rows], [found, *more])
        order = [*(k for k in range(len(v.shape)) if k != axis), axis]
        back = [order.index(k) for k in range(len(order))]
        return found.with_axes(
            tuple(found.shape[k] for k in back), tuple(found.strides[k] for k in back)
        )

    def op_sort(self, node: Node, x, axis=-1, descending=False) -> list[Value | None]:
        v = self.value(x)
        if descending or v.dtype != torch.float32:
            raise Unsupported(_message(node, "only ascending float32 is supported"))
        if any(u.args[1] == 1 and u.users for u in node.users):
            raise Unsupported(_message(node, "only the sorted values are supported, not the order"))
        # columns are sorted side by side: (others, n, width), the axis in the middle
        axis %= len(v.shape)
        found = self.program.packed(Lazy(v.shape, v.dtype, v.at, v.cost))  # sorted in place
        before, behind = product(v.shape[:axis]), product(v.shape[axis + 1 :])
        target = self.program.new(v.shape, v.dtype)
        sizes = (before, v.shape[axis], behind)
        self.program.call(_called("sort_columns", v, *sizes), [found], [target])
        return [target, None]

    # --- operations: putting ---------------------------------------------------------------------

    def op_scatter(self, node: Node, x, axis, which, src, **_) -> Value:
        return self._put(node, x, axis, which, src, "=")

    def op_scatter_add(self, node: Node, x, axis, which, src) -> Value:
        return self._put(node, x, axis, which, src, "+=")

    def _put(self, node: Node, x, axis: int, which, src, sign: str) -> Value:
        """target[.., which, ..] = src, one after another along all axes."""
        found = node.meta["val"]
        base, w = self.value(x), self.program.packed(self.value(which))
        axis %= max(len(base.shape), 1)
        values = self.program.packed(spread(self.value(src, found.dtype), w.shape))
        target = self.program.packed(Lazy(base.shape, base.dtype, base.at, base.cost))
        final = self.program.new(base.shape, base.dtype)
        # (before, axis, behind) of both; the others agree
        before, behind = product(w.shape[:axis]), product(w.shape[axis + 1 :])
        if product(base.shape[:axis]) != before or product(base.shape[axis + 1 :]) != behind:
            raise Unsupported(_message(node, "indices must be as wide as the array they index"))
        name = {"=": "scatter", "+=": "scatter_add"}[sign]
        sizes = (before, base.shape[axis], w.shape[axis], behind)
        form = _called(name, target, *sizes, pointers=4)
        self.program.call(form, [target, w, values], [final])
        return final

    def op_index_put(self, node: Node, x, which, src, accumulate=False) -> Value:
        base, w = self.value(x), self.value(which[0])
        if len(which) != 1 or len(w.shape) != 1:
            raise Unsupported(_message(node, "only one vector of indices is supported"))
        shape = (*w.shape, *base.shape[1:])
        rows = Lazy(shape, w.dtype, lambda index: w.at(index[:1]), w.cost)
        return self._put(node, x, 0, rows, src, "+=" if accumulate else "=")

    # --- operations: products --------------------------------------------------------------------

    def op_mm(self, node: Node, a, b) -> Value:
        return self._product(node, self.value(a), self.value(b))

    def op_bmm(self, node: Node, a, b) -> Value:
        return self._product(node, self.value(a), self.value(b))

    def op_addmm(self, node: Node, c, a, b) -> Value:
        x = self._product(node, self.value(a), self.value(b))
        y = self._spread(self.value(c), x.shape)
        return _mapped("({0} + {1})", x.dtype, x.shape, [x, y], 1)

    def _product(self, node: Node, a: Value, b: Value) -> Value:
        """(.., n, k) times (.., k, m): rows of b or of its transpose lie in one piece."""
        if not a.dtype.is_floating_point:
            raise Unsupported(_message(node, f"{a.dtype} cannot be multiplied; convert to float32"))
        x, y = self.program.store(a), self.program.store(b)
        n, k = x.shape[-2:]
        m = y.shape[-1]

        def runs(view: View, axis: int) -> bool:
            return view.shape[axis].fixed == 1 or view.strides[axis].fixed == 1

        if not runs(y, -1) and not (runs(y, -2) and runs(x, -1)):
            y = self.program.packed(Lazy(y.shape, y.dtype, y.at, 1))
        target = self.program.new(tuple(map(size_of, node.meta["val"].shape)), a.dtype)
        function = "product" if runs(y, -1) else "product_turned"

        def stride(view: View, axis: int) -> str:
            return view.strides[axis].code() if view.shape[axis].fixed != 1 else "0"

        many = x.shape[0].code() if len(x.shape) == 3 else "1"
        steps = [stride(v, 0) if len(v.shape) == 3 else "0" for v in (x, y, target)]
        sizes = [size.code() for size in (n, k, m)]
        left = ["{0}", stride(x, -2), stride(x, -1)]
        right = ["{1}", stride(y, -2 if function == "product" else -1), "{2}"]
        arguments = ", ".join([many, *steps, *sizes, *left, *right])
        form = f"{ex.C_TYPE[a.dtype]}_{function}({arguments})"
        self.program.call(form, [x, y], [target])
        return target


def _is_whole(x: View) -> bool:
    """All of a temporary buffer in its own order: it may become an output as it is."""
    own = x.buffer.kind == "temporary" and x.buffer.size == product(x.shape)
    return own and x.is_contiguous and x.offset.fixed == 0


def _is_tensor(node: Node) -> bool:
    return isinstance(node.meta.get("val"), torch.Tensor)


def _number(x, dtype: torch.dtype, shape: tuple[Size, ...] = ()) -> Lazy:
    found = ex.constant(x, dtype)
    return Lazy(shape, dtype, lambda _: found)


def _cast(x: Value, dtype: torch.dtype) -> Value:
    if x.dtype == dtype:
        return x
    return Lazy(x.shape, dtype, lambda index: ex.cast(x.at(index), dtype), x.cost)


def _mapped(
    code: str,
    dtype: torch.dtype,
    shape: Sequence[Size],
    values: Sequence[Value],
    cost: int,
    computed: torch.dtype | None = None,
) -> Lazy:
    """An operation on every element; arguments are converted to the format it computes in."""

    def element(index: Index):
        own = [v.at(index) for v in values]
        own = [ex.cast(e, computed) for e in own] if computed else own
        return ex.make(code, dtype, *own, cost=cost)

    return Lazy(tuple(shape), dtype, element, cost + sum(v.cost for v in values))


def _folded(x: Lazy, shape: tuple[Size, ...]) -> Lazy | None:
    """A lazy array with neighbouring axes split, which needs no division; else None."""
    groups, k = [], 0
    for size in x.shape:
        start, found = k, size_of(1)
        while found != size and k < len(shape):
            found = found * shape[k]
            k += 1
        if found != size:
            return None
        groups.append((start, k))
    if any(size.fixed != 1 for size in shape[k:]):
        return None

    def element(index: Index):
        return x.at(
            [
                _sum(index[j] * product(shape[j + 1 : end]) for j in range(start, end))
                for start, end in groups
            ]
        )

    return Lazy(shape, x.dtype, element, x.cost)


def _sum(places) -> Place:
    found = Place()
    for place in places:
        found = found + place
    return found


def _inside(index: ex.Expression, size: Size) -> Place:
    """A looked-up index as a place; a negative one counts from the end."""
    form = f"({{0}} < 0 ? {{0}} + ({size.code()}) : {{0}})"
    return ex.at_value(ex.make(form, index.dtype, index))


def _called(function: str, x: Value, *sizes: Size, pointers: int = 2) -> str:
    """A call of one of `kernels.c`, such as float_softmax(B, 10, {0}, {1})."""
    given = [size.code() for size in sizes] + [f"{{{k}}}" for k in range(pointers)]
    return f"{ex.C_TYPE[x.dtype]}_{function}({', '.join(given)})"


def _message(node: Node, remedy: str = "write it with plainer tensor operations") -> str:
    trace = node.meta.get("stack_trace") or node.stack_trace or ""
    lines = [line.strip() for line in trace.splitlines() if "bnviz" in line or "File" in line]
    where = lines[-1] if lines else "the line is not known"
    return f"{node.target} cannot be compiled ({where}): {remedy}"
