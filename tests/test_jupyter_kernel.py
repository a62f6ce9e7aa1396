"""Figures in a real kernel, driven by messages as a browser sends them."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel

from bnviz import show

pytestmark = pytest.mark.xdist_group("kernel")  # one for most tests


class Kernel:
    """A kernel and what a notebook does with it."""

    def __init__(self):
        self.manager, self.client = start_new_kernel(kernel_name="python3")

    def send(self, kind: str, content: dict, **metadata) -> str:
        """Send a message on the shell channel. Returns its id."""
        message = self.client.session.msg(kind, content, metadata=metadata)
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def answers(self, to: str) -> list[dict]:
        """What the kernel publishes about a message until it is done with it."""
        found = []
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != to:
                continue
            if message["content"].get("execution_state") == "idle":
                return found
            found.append(message)

    def begin(self, code: str, cell: str = "") -> str:
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        return self.send("execute_request", content, **({"cellId": cell} if cell else {}))

    def run(self, code: str, cell: str = "") -> dict:
        """Run a cell. Returns the MIME bundle of its result; raises for an error in it."""
        answers = self.answers(self.begin(code, cell))
        assert "error" not in {m["msg_type"] for m in answers}, answers
        bundles = [m["content"]["data"] for m in answers if m["msg_type"] == "execute_result"]
        return bundles[-1] if bundles else {}

    def value(self, expression: str):
        """A number, text or container of them from the kernel."""
        return eval(self.run(expression)["text/plain"], {})

    def until(self, expression: str) -> None:
        """Wait until an expression is true in the kernel."""
        began = time.monotonic()
        while not self.value(f"bool({expression})"):
            assert time.monotonic() - began < 30, expression

    def move(self, model: str, value) -> float:
        """Do as a browser does when a reader moves a control. Returns seconds until it is heard."""
        data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        began = time.monotonic()
        self.answers(self.send("comm_msg", {"comm_id": model, "data": data}))
        return time.monotonic() - began

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.run("import asyncio, time; from bnviz import show")
    yield kernel
    kernel.close()


@pytest.fixture
def training(kernel) -> Kernel:
    """A kernel in which `d` trains as fast as it can."""
    kernel.run("d = show('drift'); d._transport.speed.value = 'fast'; d.play()", cell="training")
    kernel.until("d.number > 3")
    return kernel


def rests(kernel: Kernel) -> None:
    """Check that no figure trains, and that the kernel is well."""
    kernel.until("not d.playing and not d._loop.running")
    number = kernel.value("d.number")
    kernel.run("await asyncio.sleep(0.1)")
    assert kernel.value("d.number") == number


def test_in_a_kernel_the_output_holds_the_widget_too(kernel):
    bundle = kernel.run("fig = show('scale-shift')\nfig")
    view = bundle.pop("application/vnd.jupyter.widget-view+json")
    assert view["model_id"] == kernel.value("fig.widget.model_id")
    assert bundle == show("scale-shift")._repr_mimebundle_()


def test_sliders_are_heard_while_a_network_trains(training):
    slider = training.value("d._panel.inputs['gamma'].model_id")
    before = training.value("d.number")
    waits = [training.move(slider, value) for value in np.linspace(-3, 2, 11)]
    assert np.median(waits) < 1.0, waits
    assert training.value("(d.values['gamma'], d.values['hold'], d.playing)") == (2, True, True)
    training.until(f"d.number > {before + 5}")
    training.run("d.pause()")
    rests(training)


def test_running_a_cell_again_in_a_kernel_ends_what_it_began(training):
    training.run("old = d")
    training.run("other = show('scale-shift')", cell="another")
    training.run("d = show('drift'); d.play()", cell="training")
    assert training.value("(old.playing, old._closed, old._loop.running)") == (False, True, False)
    assert training.value("(d.playing, other._closed)") == (True, False)
    training.run("d.close()")
    left = "[t.get_name() for t in asyncio.all_tasks() if 'Loop._ticks' in str(t)]"
    assert training.value(left) == []


def test_interrupt_between_cells_ends_the_training(training):
    training.manager.interrupt_kernel()
    rests(training)
    assert training.value("d._transport.play.description") == "Play"


@pytest.mark.parametrize("cell", ["time.sleep(60)", "await asyncio.sleep(60)"])
def test_interrupt_of_a_cell_ends_the_training_too(training, cell):
    running = training.begin(f"print('here'); {cell}")
    while training.client.get_iopub_msg(timeout=60)["content"].get("text") != "here\n":
        pass
    training.manager.interrupt_kernel()
    assert "error" in {m["msg_type"] for m in training.answers(running)}
    rests(training)


# What a kernel holds: widgets, figures that anything still refers to, threads, tasks.
HELD = """
import gc, threading, ipywidgets
from plotly.basedatatypes import BaseFigure
from bnviz.jupyter.live import LiveFigure

def held():
    for _ in range(3): gc.collect()
    figures = [sum(isinstance(o, k) for o in gc.get_objects()) for k in (LiveFigure, BaseFigure)]
    widgets = len(ipywidgets.widgets.widget._instances)
    return widgets, figures, threading.active_count(), len(asyncio.all_tasks())
def megabytes():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
"""


def test_a_cell_run_fifty_times_leaves_one_figure_behind(kernel):
    kernel.run(HELD)
    memory = []
    for number in range(1, 51):
        kernel.run("d = show('drift'); d.play()", cell="again")
        if number in (10, 50):  # the first fill what is kept once
            kernel.until("d.number > 0")
            memory.append((kernel.value("held()"), kernel.value("megabytes()")))
    (early, small), (late, large) = memory
    assert late == early
    assert large < small + 30, "40 figures of which none is shown any more take memory"
    kernel.run("d.close()")
    assert kernel.value("d._loop.running") is False


def test_a_figure_closed_in_training_is_gone(training):
    training.run(HELD)
    training.run("d.close(); del d; await asyncio.sleep(0.2)")
    before = training.value("held()")
    for _ in range(5):
        training.run("d = show('drift'); d._transport.speed.value = 'fast'; d.play()")
        training.until("d.number > 1")
        training.run("d.close(); number = d.number; await asyncio.sleep(0.1)")
        assert training.value("(d.number - number, d._loop.running)") == (0, False)
        training.run("del d; await asyncio.sleep(0.1)")
    after = training.value("held()")
    assert after[0] == before[0], "widgets stay open"
    kept = [a - b for a, b in zip(after[1], before[1], strict=True)]
    assert max(kept) <= 1, "closed figures are kept"
    assert after[2:] == before[2:], "a thread or task goes on"


def test_after_a_restart_figures_live_again(training):
    training.manager.restart_kernel(now=True)
    training.client.wait_for_ready(timeout=60)
    training.run("import asyncio, time; from bnviz import show")
    training.run("d = show('drift'); d.play()", cell="training")
    training.until("d.number > 2")
    training.run("d.pause()")
    rests(training)
