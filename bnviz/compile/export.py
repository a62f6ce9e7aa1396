"""A PyTorch function, its autograd backward included, becomes an ONNX graph.

The function is traced to plain tensor operations with symbolic shapes, then exported. Nothing here
is trusted: `tests/test_explorers.py` compares every graph with PyTorch.

A graph takes all control numbers as one vector `controls` (float32, in the order of the controls)
and the state of a Simulation as one vector `state`, so a page moves two arrays instead of sixty.
"""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from bnviz.compile.tidy import tidy
from bnviz.compile.trace import function_of
from bnviz.figure.explorer import Explorer, Simulation
from bnviz.maths.functional import State

__all__ = ["export", "export_graph", "graph_names"]

LARGEST_BATCH = 1024


def graph_names(explorer: Explorer) -> tuple[str, ...]:
    """The graphs of a figure: `compute`, or those of a Simulation, the largest first."""
    if not isinstance(explorer, Simulation):
        return ("compute",)
    return ("step", "initial", "observe") if explorer.observe else ("step", "initial")


def export(explorer: Explorer) -> dict[str, bytes]:
    """Every graph that a page needs to run this figure, as ONNX bytes by name.

    An Explorer has one graph, `compute`: controls -> outputs. A Simulation has `initial`:
    (seed, controls) -> next_state, `step`: (state, rows, controls) -> (next_state, outputs), and
    `observe`: (state, controls) -> outputs.
    """
    return {name: export_graph(explorer, name) for name in graph_names(explorer)}


def export_graph(explorer: Explorer, name: str) -> bytes:
    """One of the graphs. Raises ValueError for a name that `graph_names` does not list."""
    if name not in graph_names(explorer):
        raise ValueError(f"{explorer.name} has the graphs {graph_names(explorer)}, not {name!r}")
    function = function_of(explorer, name)
    return _graph(function.call, function.arguments)


def _graph(function: Callable[..., State], inputs: dict[str, Tensor]) -> bytes:
    """Trace, export, name the inputs and outputs, and simplify.

    The trace is decomposed to core operators, because the exporter's own form of the gradient of
    cross-entropy gives wrong numbers without an error.
    """
    from torch._decomp import core_aten_decompositions
    from torch.fx.experimental.proxy_tensor import make_fx

    args = tuple(inputs.values())
    names: list[str] = []

    def flat(*args: Tensor) -> tuple[Tensor, ...]:
        outputs = function(*args)
        names[:] = outputs
        return tuple(outputs.values())

    expected = flat(*args)  # before the trace, so that cached data and modules exist when it begins
    traced = make_fx(
        flat,
        tracing_mode="symbolic" if "rows" in inputs else "real",
        decomposition_table=cast(dict[Any, Any], core_aten_decompositions()),
        _allow_non_fake_inputs=True,  # the data that a function closes over
    )(*args)
    tidy(traced)

    batch = torch.export.Dim("batch", min=2, max=LARGEST_BATCH)
    shapes = tuple({0: batch} if name == "rows" else None for name in inputs)
    with _quiet():
        program = torch.export.export(traced, args, dynamic_shapes=shapes, strict=False)
        onnx_program = torch.onnx.export(
            program,
            args,
            dynamo=True,
            external_data=False,
            verbose=False,
            optimize=False,  # onnxruntime does it in a tenth of the time
            input_names=list(inputs),
            output_names=names,
        )
    graph = _simplified(_stripped(cast(torch.onnx.ONNXProgram, onnx_program).model_proto))
    _check(graph, inputs, dict(zip(names, expected, strict=True)))
    return graph


def _check(graph: bytes, inputs: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Raise RuntimeError unless the graph gives PyTorch's numbers, at least for these inputs."""
    import onnxruntime as ort

    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found = session.run(list(expected), {name: value.numpy() for name, value in inputs.items()})
    for (name, wanted), value in zip(expected.items(), found, strict=True):
        got = torch.from_numpy(value)
        if not torch.allclose(got, wanted.detach(), rtol=1e-3, atol=1e-4, equal_nan=True):
            gap = (got - wanted).abs().max()
            raise RuntimeError(
                f"the exported graph computes another {name} than PyTorch (largest difference "
                f"{gap:.1e}): write the function with plainer tensor operations"
            )


def _simplified(model: bytes) -> bytes:
    """The graph after onnxruntime's basic passes, which use nothing but standard operators."""
    import onnx
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = f"{folder}/graph.onnx"
        ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        simple = onnx.load(options.optimized_model_filepath)
    _split_at_once(simple.graph)
    used = {node.domain for node in simple.graph.node}
    operators = [entry for entry in simple.opset_import if entry.domain in used]
    del simple.opset_import[:]
    simple.opset_import.extend(operators)
    return _stripped(simple)


def _split_at_once(graph) -> None:
    """One Split in place of a sequence; the runtime itself drops what is left of its takers."""
    from onnx import helper, numpy_helper

    constants = {tensor.name: tensor for tensor in graph.initializer}
    for split in [node for node in graph.node if node.op_type == "SplitToSequence"]:
        takers = [node for node in graph.node if split.output[0] in node.input]
        sizes = constants.get(split.input[1]) if len(split.input) > 1 else None
        if sizes is None or not sizes.dims or {node.op_type for node in takers} != {"SequenceAt"}:
            continue  # into parts of one size, or used as a whole
        names = [f"{split.output[0]}.part{k}" for k in range(sizes.dims[0])]
        whole = helper.make_node("Split", split.input, names, name=split.name)
        whole.attribute.extend(a for a in split.attribute if a.name == "axis")
        graph.node.insert(list(graph.node).index(split), whole)
        graph.node.remove(split)
        for node in takers:
            part = names[int(numpy_helper.to_array(constants[node.input[1]]))]
            node.CopyFrom(helper.make_node("Identity", [part], node.output, name=node.name))
    used = {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    for name in constants.keys() - used:
        graph.initializer.remove(constants[name])


@contextlib.contextmanager
def _quiet():
    """Silence deprecations inside the exporter, and its regret that torchvision is missing."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _stripped(model) -> bytes:
    """Serialise without stack traces, shapes of intermediate values and names of origin."""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for part in (*model.graph.initializer, *model.graph.input, *model.graph.output, model.graph):
        del part.metadata_props[:]
    del model.metadata_props[:]
    del model.graph.value_info[:]
    del model.functions[:]
    model.doc_string = model.graph.doc_string = ""
    return model.SerializeToString(deterministic=True)
