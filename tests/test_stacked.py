"""Networks that train side by side are the networks of the package, each for itself."""

import pytest
import torch
from torch import nn

from bnviz import experiments
from bnviz.experiments import ioffe_mnist, regularisation
from bnviz.experiments.stacked import Task, train_stacked
from bnviz.maths.data import Split
from bnviz.maths.measures import accuracy
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.train import train

SIZES, LOOKS = regularisation.SIZES, (5, 40)
CELLS = ({"seed": 3, "lr": 0.1}, {"seed": 4, "lr": 0.3}, {"seed": 3, "lr": 0.5})


def splits(cells=CELLS):
    return {cell["seed"]: regularisation.splits(cell["seed"]) for cell in cells}


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("batch", [10, 30])
def test_a_network_learns_as_in_pytorch(norm, batch):
    found = train_stacked(Task(SIZES, norm, batch, batch), CELLS, LOOKS, splits())
    for cell, ours in zip(CELLS, found, strict=True):
        (fit, judge), net = splits()[cell["seed"]], MLP(SIZES, norm=norm, activation="relu")
        net.load_state_dict(initialise(net, cell["seed"], 2**0.5))
        train(net, fit, steps=40, batch_size=batch, lr=cell["lr"], seed=cell["seed"])
        with torch.no_grad():
            for key, split in (("validation", fit), ("test", judge)):
                theirs = accuracy(net.eval()(split.x_test), split.y_test).item()
                assert ours[key][-1] == pytest.approx(theirs, abs=0.01)


def test_company_changes_nothing():
    cells = tuple(c | {"p": 0.2 + 0.1 * k} for k, c in enumerate(CELLS))
    task = Task(SIZES, True, 30, 10)
    together = train_stacked(task, cells, LOOKS, splits())
    alone = [train_stacked(task, [cell], LOOKS, splits())[0] for cell in cells]
    for a, b in zip(together, alone, strict=True):
        assert a["validation"] == pytest.approx(b["validation"], abs=0.01)


def test_dropout_harms_when_it_drops_nearly_all():
    half, most = (
        train_stacked(Task(SIZES, False, 30, 30), [CELLS[0] | {"p": p}], (100,), splits())[0]
        for p in (0.3, 0.98)
    )
    assert half["test"][0] > 0.8 > most["test"][0] + 0.2


def test_ghost_batches_are_normalised_by_themselves():
    """One step at rate 0 moves the running mean by a tenth of the mean over the groups."""
    from bnviz.experiments import stacked

    task, x = Task((6, 5, 3), True, 8, 4), torch.randn(1, 8, 6, generator=torch.manual_seed(0))
    net = MLP((6, 5, 3), norm=True, activation="relu")
    start = initialise(net, 0, 1.0)
    values = {k: start[k][None] for k, _ in net.named_parameters()}
    running = {k: v[None] for k, v in start.items() if "running" in k}
    ours = stacked._forward(task, values, running, x, lambda h: h)
    theirs = nn.BatchNorm1d(5, momentum=None)  # the mean over all calls
    hidden = [
        torch.relu(theirs(x[0, k : k + 4] @ start["layers.0.linear.weight"].T)) for k in (0, 4)
    ]
    expected = torch.cat(hidden) @ start["head.weight"].T + start["head.bias"]
    torch.testing.assert_close(ours[0], expected)
    torch.testing.assert_close(running["layers.0.norm.running_mean"][0], 0.1 * theirs.running_mean)
    torch.testing.assert_close(
        running["layers.0.norm.running_var"][0], 0.9 + 0.1 * theirs.running_var
    )


def test_a_stored_run_is_recomputed():
    contest = experiments.get("regularise-30")
    stored = experiments.load(contest.name)["rows"]
    row = next(
        r for r in stored if (r["stage"], r["contender"], r["seed"]) == ("report", "both", 0)
    )
    both = next(c for c in contest.contenders if c.name == "both")
    cell = contest._cell(both, row["trial"], contest.points(both)[row["trial"]], 0)
    ours = contest.row(cell | {"steps": contest.looks[:4]})
    assert ours["test"] == pytest.approx(row["scores"][:4], abs=0.03)


def test_networks_of_section_4_1_learn_made_up_images_and_are_told_apart():
    """A slice of `ioffe-mnist`: bright and dark halves are easily told apart."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(200) % 2
    x = (torch.rand(200, 30, generator=generator) < 0.2).float()
    x[y == 1, :15] = (torch.rand(100, 15, generator=generator) < 0.7).float()
    data = Split(x, y, x, y)
    cells = [{"net": "bn", "lr": 0.5, "seed": seed, "steps": 100} for seed in (0, 1)]
    rows = ioffe_mnist.run({"cells": cells}, data)["rows"]
    alone = ioffe_mnist.run({"cells": cells[1:]}, data)["rows"][0]
    assert all(row["accuracy"][-1] > 0.95 > row["accuracy"][0] for row in rows)
    assert rows[1]["accuracy"] == pytest.approx(alone["accuracy"], abs=0.01)
    assert rows[1]["p50"] == pytest.approx(alone["p50"], abs=0.01)
    assert rows[0]["p50"] != rows[1]["p50"]
    assert rows[0]["after_50000_steps"] is None
    for row in rows:
        assert all(a < b < c for a, b, c in zip(row["p15"], row["p50"], row["p85"], strict=True))
