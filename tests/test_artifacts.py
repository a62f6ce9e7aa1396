"""bnviz.compile.artifacts: what has not changed is not compiled again, and what is damaged is."""

import dataclasses
import importlib.metadata
import json
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch

from bnviz import explorers
from bnviz.compile import artifacts, sources
from bnviz.compile.instance import Instance
from bnviz.compile.module import Module
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
def made(monkeypatch) -> list[str]:
    """Replace the compiler by one that is quick and keeps count."""
    calls = []

    def fake(explorer: Explorer) -> Module:
        calls.append(explorer.name)
        return module_of(explorer.name)

    monkeypatch.setattr(artifacts, "compile_figure", fake)
    monkeypatch.setattr(artifacts.os, "cpu_count", lambda: 1)  # no other process
    return calls


def module_of(name: str) -> Module:
    return Module(name.encode() * 50, {"functions": {}}, [(16, b"abc" * 40), (256, b"")])


# --- the cache -----------------------------------------------------------------------------------


def test_a_module_comes_back_from_its_bytes():
    assert Module.unpacked(module_of("toy").packed()) == module_of("toy")


def test_a_figure_is_compiled_once_and_then_read(tmp_path, made, capsys):
    first = artifacts.module(TOY, tmp_path)
    assert first == module_of("toy")
    assert made == ["toy"]
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "compiling toy …"
    assert said[1].startswith("compiled toy, ")
    assert len(said) == 2
    assert artifacts.module(TOY, tmp_path) == first
    assert len(made) == 1
    assert capsys.readouterr().out == ""


def test_several_figures_come_by_name_and_only_what_is_missing_is_compiled(tmp_path, made):
    drift, other = explorers.get("drift"), dataclasses.replace(TOY, name="toy-two")
    artifacts.module(TOY, tmp_path)
    made.clear()
    found = artifacts.modules([TOY, drift, other], tmp_path)
    assert {name: module.binary for name, module in found.items()} == {
        name: name.encode() * 50 for name in ("toy", "drift", "toy-two")
    }
    assert set(made) == {"drift", "toy-two"}


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "stream", "other"])
def test_a_damaged_entry_is_compiled_again(tmp_path, made, damage):
    first = artifacts.module(TOY, tmp_path)
    (entry,) = tmp_path.glob("toy.*.module.gz")
    content = entry.read_bytes()
    damages = {
        "empty": b"",
        "cut": content[:-9],
        "flipped": content[:30] + bytes([content[30] ^ 255]) + content[31:],
        "stream": content[:10] + b"\xff" + content[11:],
        "other": b"<html>",
    }
    entry.write_bytes(damages[damage])
    assert artifacts.module(TOY, tmp_path) == first
    assert len(made) == 2
    assert entry.read_bytes() == content
    assert not list(tmp_path.glob("*.part"))


def test_the_folder_is_the_one_that_was_asked_for(tmp_path, made, monkeypatch):
    monkeypatch.setenv("BNVIZ_CACHE", str(tmp_path / "by-variable"))
    artifacts.module(TOY)
    assert list((tmp_path / "by-variable").glob("toy.*.gz"))
    artifacts.module(TOY, tmp_path / "by" / "argument")
    assert list((tmp_path / "by" / "argument").glob("toy.*.gz"))
    monkeypatch.delenv("BNVIZ_CACHE")
    assert artifacts.cache_folder() == Path(__file__).parent.parent / ".bnviz-cache"


def test_two_processes_at_once_compile_once(tmp_path):
    """As under pytest-xdist: the second waits and reads."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from bnviz import explorers\n"
        "from bnviz.compile import artifacts\n"
        "from bnviz.compile.module import Module\n"
        "def fake(explorer):\n"
        "    with Path(sys.argv[1], 'log').open('a') as log: log.write('x')\n"
        "    time.sleep(1)\n"
        "    return Module(b'wasm', {}, [])\n"
        "artifacts.compile_figure = fake\n"
        "print(artifacts.module(explorers.get('scale-shift'), sys.argv[1]).binary)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in running]
    assert all(s.splitlines()[-1] == "b'wasm'" for s in said)
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
        ("compile/lower.py", True),
        ("compile/folds.py", True),
        ("compile/build.py", True),
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


# --- the real compiler ---------------------------------------------------------------------------


@pytest.fixture
def helper():
    helper = artifacts._Helper()
    yield helper
    helper.close()


def test_a_module_compiled_by_another_process_computes(tmp_path, helper):
    explorer, path = explorers.get("scale-shift"), tmp_path / "scale-shift.module.gz"
    artifacts._compile(explorer, path, helper)
    instance = Instance(Module.unpacked(artifacts._read(path)))
    controls = torch.tensor(list(explorer.numbers({}).values()))
    found = instance("compute", controls=controls)["after_mean"]
    torch.testing.assert_close(found, explorer.outputs()["after_mean"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_figure_that_cannot_be_compiled_says_why_and_leaves_nothing(tmp_path, helper, elsewhere):
    broken = dataclasses.replace(
        explorers.get("scale-shift"), name="toy", compute=measures.accuracy
    )  # takes other arguments
    with pytest.raises(RuntimeError, match=r"cannot compile toy(.|\n)*keyword argument"):
        artifacts._compile(broken, tmp_path / "toy.module.gz", helper if elsewhere else None)
    assert [p.suffix for p in tmp_path.iterdir()] == [".lock"]


def test_a_helper_that_is_killed_is_no_riddle(tmp_path, helper):
    helper.process.kill()
    helper.process.wait()
    with pytest.raises(RuntimeError, match="cannot compile epsilon: the helper ended"):
        artifacts._compile(explorers.get("epsilon"), tmp_path / "epsilon.module.gz", helper)
