"""An export refuses a wrong graph, and a right one is no longer than it need be."""

import onnx
import onnxruntime as ort
import pytest
import torch

from bnviz.compile import export
from bnviz.compile.trace import Layout


def test_a_graph_that_computes_something_else_is_refused():
    inputs = {"controls": torch.tensor([1.0, 2.0])}
    graph = export._graph(lambda c: {"double": 2 * c}, inputs)
    export._check(graph, inputs, {"double": torch.tensor([2.0, 4.0])})
    with pytest.raises(RuntimeError, match="another double than PyTorch"):
        export._check(graph, inputs, {"double": torch.tensor([2.0, 4.1])})


def exported(function, **inputs):
    """The ONNX graph of a function and the kinds of its nodes."""
    model = onnx.load_from_string(export._graph(function, inputs))
    return [node.op_type for node in model.graph.node]


def test_powers_are_products_and_arrays_are_widened_last():
    """Nodes that cost time and change no number are gone; `_graph` itself compares the numbers."""
    rows = torch.arange(23)
    weights = torch.linspace(-1, 1, 5)

    def centred(rows, weights):
        with torch.enable_grad():
            w = weights.detach().requires_grad_()
            x = rows[:, None] * w  # (m, 5)
            loss = (((x - x.mean(0)) ** 2).mean(0) * weights).sum()
        return {"gradient": torch.autograd.grad(loss, w)[0]}

    kinds = exported(centred, rows=rows, weights=weights)
    assert "Pow" not in kinds
    assert kinds.count("Expand") == 1  # the 1 with which a gradient begins


@pytest.mark.parametrize(
    "function",
    [
        lambda rows, w: w[:1].expand(5) / 3 + w,
        lambda rows, w: 3 - w[:1].expand(5),
        lambda rows, w: w / (2 * w[:1].expand(5)) ** 2,
        lambda rows, w: w[:1, None].expand(5, 5) * w + w[:1].expand(5) ** 1,
        lambda rows, w: (w[:1].expand(5) * w[1:2].expand(5)).sum(),
        lambda rows, w: (w.reshape(5, 1).reshape(5) * rows[:, None]).mean(0),
    ],
)
def test_what_is_tidied_keeps_its_numbers_and_its_shape(function):
    inputs = {"rows": torch.arange(23), "w": torch.linspace(0.5, 2, 5)}
    graph = export._graph(lambda rows, w: {"y": function(rows, w), "m": rows.sum()}, inputs)
    given = {name: value.numpy() for name, value in inputs.items()}
    session = ort.InferenceSession(graph)
    used = {i.name for i in session.get_inputs()}
    (found,) = session.run(["y"], {k: v for k, v in given.items() if k in used})
    torch.testing.assert_close(torch.from_numpy(found), function(**inputs))


def test_a_table_is_split_along_its_own_axis():
    """`_graph` itself compares the numbers."""
    exported(lambda w: dict(zip("ab", w.split([2, 3], 1), strict=True)), w=torch.rand(4, 5))
    exported(lambda w: dict(zip("ab", w.split(2), strict=True)), w=torch.rand(4, 5))
    exported(lambda w: dict(zip("abcd", w.unbind(), strict=True)), w=torch.rand(4, 5))


def test_a_state_is_taken_apart_in_one_node():
    layout = Layout({"a": (3,), "b": (2, 2), "c": ()})

    def turned(state):
        a, b, c = layout.unpack(state).values()
        again = layout.unpack(state)["a"]
        return {"next_state": layout.pack({"a": 2 * a, "b": b.T, "c": c}), "again": again}

    kinds = exported(turned, state=torch.arange(8.0))
    assert kinds.count("Split") == 1
    assert not [kind for kind in kinds if "Sequence" in kind]
