"""bnviz.compile.artifacts: what has not changed is not exported again, and what is damaged is."""

import dataclasses
import importlib.metadata
import json
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from bnviz import explorers
from bnviz.compile import artifacts, sources
from bnviz.figure import drawing
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Explorer
from bnviz.maths import measures


def compute(gain):
    return {"double": 2 * gain}


TOY = Explorer(
    "toy", "Toy", "Look.", (Slider("gain", "gain", 0, 4, 1, step=1),), compute, {"data": []}, (), ""
)  # fmt: skip


@pytest.fixture
def exported(monkeypatch) -> list[tuple[str, str]]:
    """Replace the exporter by one that is quick and keeps count."""
    calls = []

    def fake(explorer: Explorer, graph: str) -> bytes:
        calls.append((explorer.name, graph))
        return f"{explorer.name} {graph}".encode() * 50

    monkeypatch.setattr(artifacts, "export_graph", fake)
    monkeypatch.setattr(artifacts.os, "cpu_count", lambda: 1)  # no other process
    return calls


# --- the cache -----------------------------------------------------------------------------------


def test_a_graph_is_exported_once_and_then_read(tmp_path, exported, capsys):
    first = artifacts.graphs(TOY, tmp_path)
    assert first == {"compute": b"toy compute" * 50}
    assert exported == [("toy", "compute")]
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "exporting toy …"
    assert said[1].startswith("exported toy, ")
    assert len(said) == 2
    assert artifacts.graphs(TOY, tmp_path) == first
    assert len(exported) == 1
    assert capsys.readouterr().out == ""


def test_several_figures_come_by_name_and_only_what_is_missing_is_exported(tmp_path, exported):
    drift, other = explorers.get("drift"), dataclasses.replace(TOY, name="toy-two")
    artifacts.graphs(TOY, tmp_path)
    exported.clear()
    found = artifacts.graphs_of([TOY, drift, other], tmp_path)
    assert {name: set(graphs) for name, graphs in found.items()} == {
        "toy": {"compute"}, "drift": {"initial", "step", "observe"}, "toy-two": {"compute"},
    }  # fmt: skip
    assert exported[0] == ("drift", "step"), "the one that takes longest comes first"
    assert {name for name, _ in exported} == {"drift", "toy-two"}


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "stream", "other"])
def test_a_damaged_entry_is_exported_again(tmp_path, exported, damage):
    first = artifacts.graphs(TOY, tmp_path)
    (entry,) = tmp_path.glob("toy.compute.*.onnx.gz")
    content = entry.read_bytes()
    damages = {
        "empty": b"",
        "cut": content[:-9],
        "flipped": content[:30] + bytes([content[30] ^ 255]) + content[31:],
        "stream": content[:10] + b"\xff" + content[11:],
        "other": b"<html>",
    }
    entry.write_bytes(damages[damage])
    assert artifacts.graphs(TOY, tmp_path) == first
    assert len(exported) == 2
    assert entry.read_bytes() == content
    assert not list(tmp_path.glob("*.part"))


def test_the_folder_is_the_one_that_was_asked_for(tmp_path, exported, monkeypatch):
    monkeypatch.setenv("BNVIZ_CACHE", str(tmp_path / "by-variable"))
    artifacts.graphs(TOY)
    assert list((tmp_path / "by-variable").glob("toy.*.gz"))
    artifacts.graphs(TOY, tmp_path / "by" / "argument")
    assert list((tmp_path / "by" / "argument").glob("toy.*.gz"))
    monkeypatch.delenv("BNVIZ_CACHE")
    assert artifacts._folder(None) == Path(__file__).parent.parent / ".bnviz-cache"


def test_two_processes_at_once_export_once(tmp_path):
    """As under pytest-xdist: the second waits and reads."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from bnviz import explorers\n"
        "from bnviz.compile import artifacts\n"
        "def fake(explorer, graph):\n"
        "    with Path(sys.argv[1], 'log').open('a') as log: log.write('x')\n"
        "    time.sleep(1)\n"
        "    return b'graph'\n"
        "artifacts.export_graph = fake\n"
        "print(artifacts.graphs(explorers.get('scale-shift'), sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in running]
    assert all(s.splitlines()[-1] == "{'compute': b'graph'}" for s in said)
    assert (tmp_path / "log").read_text() == "x"


# --- the key -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", explorers.names())
def test_words_and_looks_do_not_change_the_key(name):
    explorer = explorers.get(name)
    figure = {**explorer.figure, "layout": {}}
    other = dataclasses.replace(explorer, title="T", caption="C", readout="R", figure=figure)
    homes = artifacts._homes(explorer)
    assert sources.closure(*homes).keys() >= {*homes, "bnviz.figure.controls"}
    # another figure in the registry is nothing to this one
    assert "bnviz.explorers" not in sources.closure(*homes)
    assert artifacts.key(explorer) == artifacts.key(explorer)
    assert artifacts.key(other) == artifacts.key(explorer)


def test_controls_and_versions_change_the_key(monkeypatch):
    before = artifacts.key(TOY)
    wider = dataclasses.replace(TOY, controls=(Slider("gain", "gain", 0, 5, 1, step=1),))
    assert artifacts.key(wider) != before
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda n: real(n) + "+" * (n == "torch"))
    assert artifacts.key(TOY) != before


@pytest.mark.parametrize(
    ("module", "matters"),
    [
        ("explorers/drift.py", True),
        ("maths/nets.py", True),
        ("maths/prng.py", True),
        ("compile/export.py", True),
        ("figure/controls.py", True),
        ("templates/drift.py", False),
        ("figure/theme.py", False),
        ("explorers/scale_shift.py", False),
        ("site/figures.py", False),
        ("maths/train.py", False),
        ("__init__.py", False),
    ],
)
def test_the_source_that_computes_a_figure_changes_its_key(tmp_path, monkeypatch, module, matters):
    package = shutil.copytree(sources._PACKAGE, tmp_path / "bnviz")
    monkeypatch.setattr(sources, "_PACKAGE", package)
    drift = explorers.get("drift")
    before = artifacts.key(drift)
    with (package / module).open("a") as file:
        file.write("\n# one more line\n")
    assert (artifacts.key(drift) != before) is matters


def test_functions_typed_into_a_notebook_have_no_key():
    function = types.FunctionType(compute.__code__, {"__name__": "__main__"})
    assert function.__module__ == "__main__"
    notebook = types.ModuleType("__main__")
    real, sys.modules["__main__"] = sys.modules["__main__"], notebook
    try:
        with pytest.raises(ValueError, match="__main__ has no source file; put its functions"):
            artifacts.key(dataclasses.replace(TOY, compute=function))
    finally:
        sys.modules["__main__"] = real


# --- first drawings ------------------------------------------------------------------------------


def test_a_first_drawing_is_made_once_and_again_for_other_words(tmp_path, monkeypatch):
    explorer = explorers.get("scale-shift")
    made = artifacts.first_drawing(explorer, tmp_path)
    fresh = dataclasses.asdict(drawing.first(explorer))
    assert dataclasses.asdict(made) == json.loads(json.dumps(fresh))
    calls = []
    real = drawing.first
    monkeypatch.setattr(drawing, "first", lambda e: calls.append(e) or real(e))
    assert artifacts.first_drawing(explorer, tmp_path) == made
    assert not calls
    other = dataclasses.replace(explorer, readout="{after_mean:.1f}")
    assert artifacts.first_drawing(other, tmp_path).readout != made.readout
    assert calls == [other]


def test_a_damaged_first_drawing_is_made_again(tmp_path):
    explorer = explorers.get("scale-shift")
    made = artifacts.first_drawing(explorer, tmp_path)
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(entry.read_bytes()[:-20])
    assert artifacts.first_drawing(explorer, tmp_path) == made


# --- the real exporter ---------------------------------------------------------------------------


def test_a_graph_exported_by_another_process_computes(tmp_path):
    explorer = explorers.get("scale-shift")
    path = tmp_path / "graph.onnx.gz"
    artifacts._export(explorer, "compute", path, alone=False)
    session = ort.InferenceSession(artifacts._read(path), providers=["CPUExecutionProvider"])
    controls = np.array(list(explorer.numbers({}).values()), dtype=np.float32)
    names = [o.name for o in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, {"controls": controls}), strict=True))
    np.testing.assert_allclose(outputs["after_mean"], explorer.outputs()["after_mean"], atol=1e-6)


@pytest.mark.parametrize("alone", [True, False])
def test_an_export_that_fails_says_which_and_why_and_leaves_nothing(tmp_path, alone):
    broken = dataclasses.replace(TOY, compute=measures.accuracy)  # takes other arguments
    with pytest.raises(RuntimeError, match=r"cannot export compute of toy(.|\n)*keyword argument"):
        artifacts._export(broken, "compute", tmp_path / "graph.onnx.gz", alone)
    assert [p.suffix for p in tmp_path.iterdir()] == [".lock"]
