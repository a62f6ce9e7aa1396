"""Sweeps: one result however the work is shared out, and the command that stores it."""

import json

import pytest
import torch

from bnviz import experiments
from bnviz.experiments import __main__ as command
from bnviz.experiments import store
from bnviz.experiments.__main__ import _hours
from bnviz.experiments.experiment import Experiment, between, cells, rounded
from bnviz.experiments.sweep import sweep
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.train import train

GRID = {"net": ("plain", "bn"), "seed": (0, 1, 2)}
CELLS = cells(GRID)


def run(cell):
    """A real training run, though a short one."""
    net = MLP((64, 8, 10), norm=cell["net"] == "bn")
    net.load_state_dict(initialise(net, cell["seed"]))
    losses = train(net, digits(), steps=5, batch_size=16, lr=0.5, seed=cell["seed"])
    return {"losses": losses, "threads": torch.get_num_threads()}


def summarise(rows):
    return {"last": between(row["losses"][-1] for row in rows)}


TOY = Experiment("toy", "A toy", ("C03",), "Does it run?", {"steps": 5}, GRID, run, summarise)


@pytest.fixture(scope="module")
def serial():
    return sweep(TOY.row, CELLS)


def test_rows_come_in_the_order_of_the_cells(serial):
    assert [{k: row[k] for k in ("net", "seed")} for row in serial] == list(CELLS)
    assert len({tuple(row["losses"]) for row in serial}) == 6
    assert {row["threads"] for row in serial} == {1}


def test_processes_give_what_one_process_gives(serial):
    assert sweep(TOY.row, CELLS, jobs=2) == serial


@pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed")
def test_a_dask_cluster_gives_what_one_process_gives(serial):
    from distributed import LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False}
    with LocalCluster(**options, dashboard_address=None) as cluster:
        assert sweep(TOY.row, CELLS, dask=cluster.scheduler_address) == serial


def test_a_sweep_that_broke_off_goes_on(tmp_path, serial):
    done = tmp_path / "done"

    class Broken(Exception):
        pass

    def breaking(cell):
        if cell == CELLS[3] and not done.exists():
            done.touch()
            raise Broken
        with (tmp_path / "log").open("a") as log:
            log.write(f"{cell}\n")
        return TOY.row(cell)

    with pytest.raises(Broken):
        sweep(breaking, CELLS, kept=tmp_path / "kept")
    assert sweep(breaking, CELLS, kept=tmp_path / "kept") == serial
    assert 0 < _hours(tmp_path / "kept") < 1 / 60
    assert len((tmp_path / "log").read_text().splitlines()) == len(CELLS)  # none was run twice


def test_a_failing_cell_stops_the_sweep():
    def fail(cell):
        raise ArithmeticError(f"cell {cell['seed']} fails")

    with pytest.raises(ArithmeticError, match="cell 0 fails"):
        sweep(fail, CELLS)
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        sweep(run, CELLS, jobs=0)


def test_the_command_stores_a_result_with_its_origin(monkeypatch, tmp_path, capsys, serial):
    monkeypatch.setattr(experiments, "names", lambda: ("toy",))
    monkeypatch.setattr(experiments, "get", {"toy": TOY}.get)
    command.main(["toy", "--jobs", "1", "--out", str(tmp_path)])
    printed = capsys.readouterr()
    assert "6 runs" in printed.out
    assert "6/6" in printed.err  # the progress bar
    result = store.read("toy", tmp_path)
    assert result["rows"] == serial
    assert result["summary"] == summarise(serial)
    assert result["command"] == "python -m bnviz.experiments toy"
    assert set(result["versions"]) == {"python", "bnviz", "torch", "numpy"}
    first = (tmp_path / "toy.json").read_bytes()
    command.main(["--all", "--quiet", "--out", str(tmp_path)])
    assert (tmp_path / "toy.json").read_bytes() == first
    command.main(["--list"])
    assert "toy " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "name an experiment"),
        (["no-such"], "unknown: no-such; there are ioffe-figure-1"),
        (["whitening-cost", "--jobs", "0"], "--jobs must be at least 1, got 0"),
    ],
)
def test_the_command_says_what_it_needs(argv, message, capsys):
    with pytest.raises(SystemExit):
        command.main(argv)
    assert message in capsys.readouterr().err


def test_numbers_are_stored_short_and_without_nan(tmp_path):
    assert rounded({"a": [1.23456, float("inf")], "b": True, "c": "x", "d": 2.0}) == {
        "a": [1.23, None],
        "b": True,
        "c": "x",
        "d": 2,
    }
    rows = [{"x": 1, "y": [1, None]}, {"x": 2, "y": []}]
    result = {"name": "n", "grid": {"x": [1, 2]}, "summary": {"a": 1}, "rows": rows}
    path = store.save(result, tmp_path / "new")
    assert store.read("n", tmp_path / "new") == result
    assert json.loads(path.read_text())["rows"] == {"y": [[1, None], []]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.save({**result, "summary": {"a": float("nan")}}, tmp_path)


def test_a_missing_result_says_how_to_compute_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"stored: none\); python -m bnviz.experiments x"):
        store.read("x", tmp_path)


def test_between_ignores_what_is_missing():
    assert between([None, 3, 1]) == {"median": 2, "min": 1, "max": 3, "n": 2}
    assert between([None]) == {"median": None, "min": None, "max": None, "n": 0}
