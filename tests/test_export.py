"""An export refuses a graph that does not compute what PyTorch computes."""

import pytest
import torch

from bnviz import export


def test_a_graph_that_computes_something_else_is_refused():
    inputs = {"controls": torch.tensor([1.0, 2.0])}
    graph = export._graph(lambda c: {"double": 2 * c}, inputs)
    export._check(graph, inputs, {"double": torch.tensor([2.0, 4.0])})
    with pytest.raises(RuntimeError, match="another double than PyTorch"):
        export._check(graph, inputs, {"double": torch.tensor([2.0, 4.1])})
