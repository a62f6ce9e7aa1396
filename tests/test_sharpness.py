"""Sharpness: closed forms, the whole Hessian, and what the stored experiment says of the edge."""

import pytest
import torch
from torch.func import grad, jacrev
from torch.nn import functional as F

from bnviz import experiments
from bnviz.experiments import edges
from bnviz.maths.data import digits
from bnviz.maths.landscape import call, line_search
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.sharpness import curvatures


def parabola(root: torch.Tensor):
    return lambda v: 0.5 * (root @ v["w"]).square().sum()


def test_a_parabola_has_the_curvatures_of_its_matrix():
    root = torch.randn(5, 5, generator=torch.manual_seed(0), dtype=torch.float64)
    a, w = root.T @ root, torch.arange(1.0, 6.0, dtype=torch.float64)
    found = curvatures(parabola(root), {"w": w}, iterations=200)
    values, vectors = torch.linalg.eigh(a)
    torch.testing.assert_close(found["top"], values[-1])
    torch.testing.assert_close(found["along"], (a @ a @ w).norm() / (a @ w).norm())
    cosine = (found["direction"] @ vectors[:, -1]) / found["direction"].norm()
    assert abs(cosine.item()) == pytest.approx(1)


def test_the_largest_absolute_curvature_may_be_negative():
    found = curvatures(
        lambda v: v["w"] @ (v["w"] * torch.tensor([0.5, -2.0])), {"w": torch.ones(2)}, iterations=50
    )
    assert found["top"].item() == pytest.approx(-4, rel=1e-5)


@pytest.mark.parametrize("norm", [False, True])
def test_a_network_has_the_sharpness_of_its_whole_hessian(norm):
    net = MLP((64, 4, 10), norm=norm, activation="tanh").double()
    net.load_state_dict(initialise(net, 0, 2.0))
    x, y = digits().x_train[:40].double(), digits().y_train[:40]
    values = {k: p.detach() for k, p in net.named_parameters()}

    def loss(v):
        return F.cross_entropy(call(net, v, x), y)

    blocks = jacrev(grad(loss))(values)
    whole = torch.cat([
        torch.cat([blocks[a][b].reshape(values[a].numel(), -1) for b in values], 1) for a in values
    ])  # fmt: skip
    eigenvalues = torch.linalg.eigvalsh(whole)
    largest = eigenvalues[eigenvalues.abs().argmax()]
    found = curvatures(loss, values, iterations=300)
    torch.testing.assert_close(found["top"], largest, rtol=1e-4, atol=0)
    # ever shorter steps along the gradient
    near = line_search(loss, values, 1e-6, torch.tensor([1.0], dtype=torch.float64))["beta"]
    torch.testing.assert_close(found["along"], near, rtol=1e-4, atol=0)


def test_a_vector_that_is_close_saves_iterations():
    root = torch.diag(torch.tensor([3.0, 2.9, 1.0], dtype=torch.float64))
    w = torch.ones(3, dtype=torch.float64)
    from_far, known = (
        curvatures(parabola(root), {"w": w}, start, 3)["top"].item()
        for start in (torch.tensor([0.0, 1, 1]).double(), torch.tensor([1.0, 0.05, 0]).double())
    )
    assert abs(known - 9) < 0.1 < abs(from_far - 9)


def test_no_iteration_is_refused():
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        curvatures(parabola(torch.eye(2)), {"w": torch.ones(2)}, iterations=0)


@pytest.mark.parametrize("setting", ["tanh", "25 matrices"])
def test_held_weights_keep_their_length_and_the_function(setting):
    """One step at a small rate: the network computes the same, held or not."""
    cell = {"setting": setting, "rate": "low", "batch": "all", "seed": 0, "steps": 25}
    free, held = (edges.run({**cell, "net": net}) for net in ("bn", "bn-held"))
    assert held["length"] == pytest.approx(1, abs=1e-6)
    assert free["length"] > 1
    assert held["loss"] == pytest.approx(free["loss"], rel=0.02)


def test_a_run_at_the_edge_is_recomputed():
    stored = experiments.load("edges")["rows"]
    cell = {"setting": "tanh", "batch": "small", "net": "plain", "rate": "low", "seed": 0}
    row = next(r for r in stored if cell.items() <= r.items())
    again = edges.run(cell | {"steps": 400})
    assert again["start"] == pytest.approx(row["start"], rel=0.02)
    assert again["top"] == pytest.approx(row["top"], rel=0.1)
