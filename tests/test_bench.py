"""The benchmark's arithmetic, and that both sides do the same work; how fast is not a test."""

import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from torch.utils.flop_counter import FlopCounterMode

from bnviz import explorers
from bnviz.bench import network, page, report, results, steps
from bnviz.bench.__main__ import GROUPS, LONG
from bnviz.bench.report import Grid, Table, Targets
from bnviz.bench.rows import Row, in_turns, seconds
from bnviz.maths.data import digits
from tests.conftest import REPOSITORY
from tests.pages import PAGE


def test_a_ratio_is_taken_turn_by_turn():
    row = Row("g", "w", "a", "ms", (2.0, 9.0, 4.0), (1.0, 3.0, 4.0), target=2)
    assert row.ratios == (2.0, 3.0, 1.0)
    assert row.ratio == 2
    assert row.met is True
    assert row.to_dict()["quartiles"] == [1.5, 2.5]


@pytest.mark.parametrize(("faster", "met"), [("less", False), ("more", True)])
def test_a_target_has_a_direction(faster, met):
    assert Row("g", "w", "a", "ms", (5.0,), (), faster, 4).met is met
    assert Row("g", "w", "a", "ms", (5.0,)).met is None


def test_both_sides_take_turns_and_each_goes_first():
    order = []
    sides = [lambda name=name: order.append(name) or 1.0 for name in "ab"]
    assert in_turns(*sides, turns=4) == ((1.0,) * 4, (1.0,) * 4)
    assert "".join(order) == "ab" + "ba" + "ab" + "ba" + "ab"


def test_a_measurement_repeats_until_it_is_long_enough():
    measure = seconds(lambda: time.sleep(0.002), least=0.02)
    assert 0.002 <= measure() < 0.02


def test_a_result_comes_back_with_its_machine(tmp_path):
    rows = [Row("g", "w", "a", "ms", (2.0, 9.0, 4.0), (1.0, 3.0, 4.0), target=2, more={"m": 3.0})]
    results.save("some", rows, tmp_path)
    found = results.load("some", tmp_path)
    assert found["rows"] == [row.to_dict() for row in rows]
    assert found["rows"][0]["samples"]["ours"] == [2.0, 9.0, 4.0]
    assert found["machine"]["cores"] >= 1
    with pytest.raises(FileNotFoundError, match=r"python -m bnviz\.bench other"):
        results.load("other", tmp_path)


@pytest.mark.parametrize("group", sorted(set(GROUPS) - set(LONG)))
def test_every_group_was_measured_and_shows_what_it_found(group):
    table = Table(group)
    html = table._repr_html_()
    assert html.count("<tr>") == len(table.rows) + 1
    for row in table.rows:
        assert f"{row['ours']:g}" in html
        assert row["what"] in repr(table)
        assert row["met"] is (
            None
            if row["target"] is None
            else row["ratio"] <= row["target"]
            if row["faster"] == "less"
            else row["ratio"] >= row["target"]
        )


def test_a_grid_has_a_line_for_each_figure():
    rows = results.load("frames")["rows"]
    html = Grid("frames")._repr_html_()
    assert html.count("<tr>") == len({row["what"].split(": ")[0] for row in rows}) + 1
    assert html.count("<td>") == len(rows) * 4 / 3
    assert html.count("at least 50") == 1


def result(monkeypatch, *rows: Row) -> None:
    monkeypatch.setattr(report, "load", lambda group: {"rows": [row.to_dict() for row in rows]})


def test_one_line_says_how_all_figures_meet_a_target(monkeypatch):
    fast = Row("g", "drift", "b", "ms", (1.0,), (2.0,), target=1)
    slow = Row("g", "ics", "b", "ms", (3.0,), (2.0,), target=1)
    other = Row("g", "all", "", "ms", (7.0,), target=9)
    result(monkeypatch, fast, slow, Row("g", "ics: m", "", "ms", (7.0,)), other)
    assert Targets("some").lines == [
        ["g: each figure, against b", "ratio 0.5 to 1.5", "at most 1", "missed by ics"],
        ["g: all", "7 ms", "at most 9", "met"],
    ]
    result(monkeypatch, slow)
    assert Targets("some").lines[0][-1] == "missed"


def test_the_page_lists_every_target():
    notebook = nbformat.read(REPOSITORY / "bnviz" / "bench" / "speed.ipynb", 4)
    source = "\n".join(cell.source for cell in notebook.cells)
    listed = re.search(r"^Targets\((.*?)\)$", source, re.MULTILINE | re.DOTALL)[1]
    found = Targets(*re.findall(r'"(\w+)"', listed))
    assert sorted(found.lines) == sorted(Targets(*GROUPS).lines)


SMALL = {"depth": 1, "width": 8, "batch": 16}


@pytest.fixture
def alone():
    """The benchmark starts a browser of its own, in a thread without one."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda work: pool.submit(work).result()


def test_all_sides_in_the_browser_train_the_same_network(alone):
    def race():
        with steps._track() as here:
            size = (steps.DEPTH, steps.WIDTH, 16)
            pairs = [
                [here.ours(**SMALL), here.tensorflow(**SMALL), here.jax(**SMALL)],
                [here.ours(*size), here.onnxruntime(16)],
            ]
            return [[[s.run(1)["loss"] for _ in range(5)] for s in sides] for sides in pairs]

    small, large = alone(race)
    expected = network.Eager(**SMALL)
    wanted = [expected.steps(1) for _ in range(5)]
    for found in small:
        assert found == pytest.approx(wanted, abs=1e-4)
    assert large[0] == pytest.approx(large[1], abs=1e-3)


@pytest.mark.long  # PyTorch's compiler takes its time
@pytest.mark.skipif(not shutil.which(os.environ.get("CXX", "g++")), reason="no compiler of C++")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of PyTorch to itself
def test_a_compiled_network_is_the_same():
    (side,) = steps._torch_compile(**SMALL).values()
    steps._same_losses({"eager": steps.Side.of(network.Eager(**SMALL)), "compiled": side})


def test_without_a_compiler_the_benchmark_goes_on(monkeypatch, capsys):
    def broken(*size):
        raise RuntimeError("no compiler\nmore of it")

    monkeypatch.setattr(network.Compiled, "__init__", lambda self, *size: None)
    monkeypatch.setattr(network.Compiled, "steps", broken)
    assert steps._torch_compile(**SMALL) == {}
    assert "torch.compile is left out" in capsys.readouterr().err


def test_the_products_of_a_step_are_what_pytorch_counts():
    side = network.Eager(**SMALL)
    data = digits()
    rows = side.rows.take(side.batch)
    with FlopCounterMode(display=False) as counter:
        side.loss(data.x_train[rows], data.y_train[rows]).backward()
    assert network.flops(**SMALL) == counter.get_total_flops()


def test_the_limit_is_above_all_sides(alone):
    def race():
        with steps._track() as here:
            ours, limit = here.ours(**SMALL), here.limit(**SMALL)
            return [[side.rate() for _ in range(2)][-1] for side in (ours, limit)]

    ours, limit = alone(race)
    assert ours < limit


def test_networks_that_differ_are_not_compared():
    other = network.Eager(**SMALL)
    other.optimizer.param_groups[0]["lr"] = 0.2
    sides = {"right": network.Eager(**SMALL), "wrong": other}
    with pytest.raises(RuntimeError, match="after 3 steps the networks differ"):
        steps._same_losses({name: steps.Side.of(side) for name, side in sides.items()})


def test_a_drag_a_redraw_and_frames_are_measured_in_the_book(browser, book_url):
    with page.opened(browser, book_url + "book/steps.html", "scale-shift") as (open_page, node):
        ours, theirs = page._drags(open_page, node, "gamma")
        assert len(ours) == len(theirs) == page._BLOCKS * page._MOVES
        assert min(ours + theirs) > 0
        assert page._computing(open_page, node, explorers.get("scale-shift")) < max(ours)
        found = open_page.evaluate("node => bench.frames(node, 0.5)", node)
        assert 0 < found["frames"] <= 200


def test_the_book_says_which_page_shows_a_figure():
    found = page.figure_pages()
    assert {name: path.removeprefix("book/") for name, path in found.items()} == PAGE
