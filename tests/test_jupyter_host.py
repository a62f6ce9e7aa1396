"""Figures in a kernel: what the handle promises, without a browser."""

import asyncio
import html
import json
import math
import re
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from bnviz import explorers, show
from bnviz.figure.controls import Choice, Slider, Toggle
from bnviz.figure.explorer import Binding, Explorer, Simulation
from bnviz.jupyter import cells
from bnviz.jupyter.loop import Loop, interrupt_all
from bnviz.jupyter.widgets import slider_text
from bnviz.maths.prng import Shuffler
from tests.twin import first_outputs

NAMES = explorers.names()
SIMULATIONS = [name for name in NAMES if isinstance(explorers.get(name), Simulation)]

every_figure = pytest.mark.parametrize("name", NAMES)
every_simulation = pytest.mark.parametrize("name", SIMULATIONS)


# --- figures small enough to know all about -------------------------------------------------------


def halves(x, batch, fail):
    """What `HALVES` computes; it fails on demand."""
    if float(fail) > 0.5:
        raise ValueError("cannot halve <this>")
    halves.seen.append(float(x))
    return {"half": x / 2, "pair": torch.stack([x, x / 2]), "grid": x * torch.eye(2)}


halves.seen = []
EMPTY = {"data": [], "layout": {}}
HALVES = Explorer(
    name="halves",
    title="Halves",
    caption="Half of x.",
    controls=(
        Slider("x", "x", 0.001, 10, 1, 0.5, scale="log10", format=".3g"),
        Slider("batch", "rows", 0, 1, 0.25, 0.01, note="{other} are left", switches_on="fail"),
        Toggle("fail", "fail", False),
    ),
    compute=halves,
    figure={
        "data": [
            {"uid": "line", "type": "scatter", "x": [0, 1], "y": []},
            {"uid": "map", "type": "heatmap", "z": []},
        ],
        "layout": {},
    },
    bindings=(Binding("pair", "line", "y"), Binding("grid", "map", "z")),
    readout="half of {x:.2f} is {half:.2f}",
)


def counting(**changes) -> Simulation:
    """Counts steps; its first output leaves the finite numbers after `limit`, the other at 20."""

    def initial(seed, **controls):
        return {"n": seed * 100 + controls["start"]}

    def step(state, rows, **controls):
        n = state["n"] + 1
        if n == controls["broken"]:
            raise ZeroDivisionError("no step from here")
        outputs = {
            "n": torch.where(n > controls["limit"], torch.nan, n),
            "m": torch.where(n >= 20, torch.inf, n),
            "heat": n + torch.arange(3.0),
            "rows": torch.tensor(float(len(rows))),
        }
        return {"n": n}, outputs

    def observe(state, **controls):
        return {"seen": state["n"]}

    return Simulation(
        **{
            "name": "counting",
            "title": "Counting",
            "caption": "One more.",
            "controls": (
                Slider("batch", "batch size", 1, 8, 2, 1, format="d"),
                Slider("limit", "limit", 0, 1000, 1000, 1),
                Slider("broken", "broken", 0, 1000, 0, 1),
                Slider("start", "start", 0, 50, 0, 1, restart=True),
                Choice("style", "style", ("plain", "bold"), "plain"),
            ),
            "compute": None,
            "figure": {
                "data": [
                    {"uid": "n", "type": "scatter", "x": [], "y": []},
                    {"uid": "heat", "type": "heatmap", "x": [], "z": [], "xaxis": "x2"},
                    {"uid": "now", "type": "scatter", "x": [], "y": [0, 1, 2], "xaxis": "x3"},
                    {"uid": "seen", "type": "scatter", "x": [], "y": [], "xaxis": "x4"},
                ],
                "layout": {f"xaxis{k}": {"range": [0, 8]} for k in ("", 2, 3, 4)},
            },
            "bindings": (
                Binding("n", "n", "y", append=True),
                Binding("heat", "heat", "z", append=True),
                Binding("heat", "now", "x"),
                Binding("seen", "seen", "y", append=True),
            ),
            "readout": "n is {n:.0f}, seen {seen:.0f}, of {rows:d} rows",
            "initial": initial,
            "step": step,
            "observe": observe,
            "rows": 8,
            "every": 4,
            "history": 8,
            "watch": {"n": "the first", "m": "the second"},
            **changes,
        }
    )


def trace(fig, uid: str):
    """The trace that the description of a figure calls `uid`."""
    place = [t["uid"] for t in fig.explorer.figure["data"]].index(uid)
    return fig.figure.data[place]


def array(value) -> np.ndarray:
    return np.asarray(value, dtype=np.float32)


def drawn_as(fig, outputs: dict[str, torch.Tensor]) -> None:
    """Check that every binding that does not append shows its output, to the last bit."""
    for b in fig.explorer.bindings:
        if not b.append:
            np.testing.assert_array_equal(
                array(trace(fig, b.trace)[b.attribute]), outputs[b.output][b.index].numpy()
            )


def extremes(explorer: Explorer) -> tuple[dict, dict]:
    """All controls at their lowest, and all at their highest."""
    ends = {
        "slider": lambda c: (c.min, c.max),
        "choice": lambda c: (c.options[0], c.options[-1]),
        "toggle": lambda c: (False, True),
    }
    both = {c.name: ends[c.kind](c) for c in explorer.controls}
    return {n: low for n, (low, _) in both.items()}, {n: high for n, (_, high) in both.items()}


def plain_loop(simulation: Simulation, seed: int, steps: int, **values) -> list[dict]:
    """A Simulation's outputs step by step, those of `observe` among them, without any host."""
    controls, rows = simulation.tensors(values), Shuffler(simulation.rows, seed)
    m = int(simulation.numbers(values)["batch"])
    state, outputs = simulation.initial(torch.tensor(float(seed)), **controls), []
    for number in range(1, steps + 1):
        state, new = simulation.step(state, rows.take(m), **controls)
        if simulation.observe and number % simulation.every == 0:
            with torch.no_grad():
                new |= simulation.observe(state, **controls)
        outputs.append(new)
    return outputs


def text_of(widget) -> str:
    """What a reader sees of an HTML widget."""
    return html.unescape(re.sub(r"<[^>]+>", " ", widget.value)).strip()


def message_of(fig) -> str:
    """What the figure tells about errors and divergence."""
    return text_of(fig._note)


async def until(condition, seconds: float = 20.0) -> None:
    """Wait in the event loop until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


def nothing_left() -> bool:
    """Whether this coroutine is the only one that the event loop still has."""
    return asyncio.all_tasks() == {asyncio.current_task()}


# --- what a notebook stores -----------------------------------------------------------------------


def test_importing_show_loads_neither_torch_nor_plotly():
    code = (
        "import sys; from bnviz import show; "
        "print([m for m in ('torch', 'plotly', 'ipywidgets', 'numpy') if m in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"


@every_figure
def test_output_of_a_cell_is_the_same_in_every_session(name):
    explorer = explorers.get(name)
    bundle, again = (show(name)._repr_mimebundle_() for _ in range(2))
    assert bundle == again
    assert set(bundle) == {"text/plain", "text/html"}  # a widget only where there is a kernel
    assert bundle["text/plain"] == f"bnviz figure '{name}': {explorer.title}"
    assert (
        f'<figure class="bnviz" data-explorer="{name}" data-state="static">' in bundle["text/html"]
    )
    assert html.escape(explorer.caption) in bundle["text/html"]
    assert "<noscript>" in bundle["text/html"]


def test_given_start_values_travel_with_the_html():
    fig = show("drift", gamma=2)
    source = fig._repr_mimebundle_()["text/html"]
    values = json.loads(html.unescape(re.search(r"data-values='([^']*)'", source)[1]))
    assert values == {"gamma": 2, "hold": True}  # gamma switches it on, in every host
    assert fig.values == explorers.get("drift").defaults() | values


def test_html_of_odd_words_stays_html():
    odd = Choice("kind", "kind", ("it's <b>", "x"), "x")
    explorer = Explorer("odd", "A < B", "'&'", (odd,), lambda kind: {}, EMPTY, (), "")
    source = show(explorer, kind="it's <b>")._repr_mimebundle_()["text/html"]
    assert "<strong>A &lt; B.</strong>" in source
    assert json.loads(html.unescape(re.search(r"data-values='([^']*)'", source)[1])) == {
        "kind": "it's <b>"
    }


# --- controls and picture -------------------------------------------------------------------------


@every_figure
def test_extreme_controls_draw_what_pytorch_computes(name):
    fig = show(name)
    assert isinstance(fig.figure, go.FigureWidget)
    for values in extremes(fig.explorer):
        fig.set(**values)
        drawn_as(fig, first_outputs(fig.explorer, values))
        assert fig.values == values
    fig.close()


def test_two_dimensional_output_is_drawn_row_by_row():
    fig = show(HALVES, x=4)
    np.testing.assert_array_equal(array(trace(fig, "map").z), 4 * np.eye(2, dtype=np.float32))
    assert all(row.dtype == np.float32 for row in trace(fig, "map").z)  # floats travel as bytes


def test_slider_moves_on_its_scale_and_shows_values():
    fig = show(HALVES)
    slider = fig._panel.inputs["x"]
    assert (slider.min, slider.max, slider.value) == (-3, 1, 0)
    slider.value = -1.5  # as the browser does when a reader drags it
    assert fig.values["x"] == pytest.approx(10**-1.5)
    assert fig.outputs["half"] == pytest.approx(10**-1.5 / 2)
    assert text_of(fig._panel._items["x"]._line).split() == ["x", "0.0316"]
    assert text_of(fig._readout) == "half of 0.03 is 0.02"


@pytest.mark.parametrize(
    ("slider", "value", "text"),
    [
        (HALVES.controls[1], 0.2, "0.20 (0.80 are left)"),
        (Slider("b", "b", 2, 256, 32, 1, scale="log2", format="d"), 2**5.5, "45"),
        (Slider("g", "g", -1, 1, 0, 0.1), -0.0, "0.00"),
        (Slider("e", "e", 1e-8, 1, 1, 1, scale="log10", format=".0e"), 1e-5, "1e-05"),
        (Slider("s", "s", 0, 2, 0, 1, format="|none|one|many"), 1.0, "one"),
    ],
)
def test_values_are_written_with_format_and_note(slider, value, text):
    assert slider_text(slider, value) == text


def test_setting_a_value_moves_the_widget_without_an_echo():
    fig = show(HALVES)
    halves.seen.clear()
    fig.set(x=10)
    assert halves.seen == [10]  # computed once: the slider that moved told nobody
    assert fig._panel.inputs["x"].value == 1
    assert fig.outputs["half"] == 5


def test_moving_a_slider_switches_its_toggle_on():
    for move in (
        lambda fig: fig.set(gamma=2),
        lambda fig: setattr(fig._panel.inputs["gamma"], "value", 2),
    ):
        fig = show("drift")
        move(fig)
        assert fig.values["gamma"] == 2
        assert fig.values["hold"]
        assert fig._panel.inputs["hold"].value
        fig.set(gamma=1, hold=False)  # unless told otherwise
        assert not fig.values["hold"]


def test_newest_value_wins():
    async def drag():
        fig = show(HALVES)
        halves.seen.clear()
        for position in np.linspace(-3, 1, 41):
            fig._panel.inputs["x"].value = position
        assert halves.seen == []  # a handler of messages only takes note
        await until(lambda: not fig._loop.running)
        assert halves.seen == [10]  # 40 values that nobody would have seen
        assert fig.outputs["half"] == 5
        assert nothing_left()

    asyncio.run(drag())


def test_a_browser_that_still_draws_is_not_sent_more():
    async def drag():
        fig = show(HALVES)
        widget = fig.figure
        widget._view_count = 1
        fig.set(x=2)
        assert widget.busy
        fig._panel.inputs["x"].value = 0.5
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert fig.outputs["half"] == 1
        widget._handle_custom_msg({"drawn": widget._last_trace_edit_id}, [])
        await until(lambda: not fig._loop.running)
        assert fig.values["x"] == pytest.approx(10**0.5)

    asyncio.run(drag())


@pytest.mark.parametrize(("drawn_in", "since", "rested"), [(3, 2, True), (3, 1, False)])
def test_a_browser_has_time_for_its_reader_after_a_picture(drawn_in, since, rested):
    fig = show(HALVES)
    fig.figure.heard = time.perf_counter() - since
    fig._canvas._sent = fig.figure.heard - drawn_in
    assert fig._canvas.rested == rested


def test_a_browser_gets_the_figure_and_plotly_when_it_asks(monkeypatch):
    fig = show(HALVES)
    sent = []
    monkeypatch.setattr(type(fig.figure), "send", lambda self, *message: sent.append(message))
    fig.set(x=8)
    fig.figure._handle_custom_msg({"ask": "figure"}, [])
    fig.figure._handle_custom_msg({"ask": "plotly"}, [])
    np.testing.assert_array_equal(fig.figure._widget_data[0]["y"], [8, 4])
    assert sent[0] == ({"answer": "figure"},)
    assert sent[1][0] == {"answer": "plotly"}
    assert b"plotly.js v" in sent[1][1][0][:200]


# --- simulations ----------------------------------------------------------------------------------


@every_simulation
def test_steps_give_the_numbers_of_a_plain_loop(name):
    fig = show(name)
    fig.step(60)
    expected = plain_loop(fig.explorer, 0, 60)
    places = fig.explorer.places(fig.explorer.numbers({}))
    for b in fig.explorer.bindings:
        if b.append and b.output in expected[0]:
            shown = array(trace(fig, b.trace)[b.attribute])  # (60,) or (bins, 60)
            at = (*b.index, *places.get(b, ()))
            steps = np.stack([outputs[b.output][at].numpy() for outputs in expected])
            np.testing.assert_allclose(shown, steps.T, rtol=1e-6)
            np.testing.assert_array_equal(array(trace(fig, b.trace).x), np.arange(1, 61))
    drawn_as(fig, expected[-1])
    assert text_of(fig._transport.status) == "step 60"
    fig.close()


def test_another_layer_and_unit_are_shown_of_the_same_run():
    fig = show("drift")
    fig.step(5)
    fig.set(layer=2, unit=7)
    assert fig.number == 5
    expected = [outputs["bn_track"][1, 1, 6] for outputs in plain_loop(fig.explorer, 0, 5)]
    np.testing.assert_allclose(array(trace(fig, "bn-p50").y), expected, rtol=1e-6)
    fig.close()


@every_simulation
def test_simulation_begins_with_a_look_at_the_first_step(name):
    fig = show(name)
    drawn_as(fig, first_outputs(fig.explorer, {}))
    assert fig.number == 0
    assert all(
        len(h) == 0 for h in (trace(fig, b.trace).x for b in fig.explorer.bindings if b.append)
    )
    assert text_of(fig._transport.status).startswith("step 0")
    assert "…" not in text_of(fig._readout)
    fig.close()


def test_history_beyond_its_capacity_keeps_the_whole_run_in_view():
    fig = show(counting())
    fig.step(19)  # columns of 4 steps: 8 columns are full after 32
    np.testing.assert_array_equal(array(trace(fig, "n").x), [2.5, 6.5, 10.5, 14.5, 18.5])
    np.testing.assert_array_equal(array(trace(fig, "n").y), [2.5, 6.5, 10.5, 14.5, 18])
    np.testing.assert_array_equal(
        array(trace(fig, "heat").z), np.add.outer([0, 1, 2], array(trace(fig, "n").y))
    )
    layout = fig.figure.layout
    assert [tuple(layout[k].range) for k in ("xaxis", "xaxis2", "xaxis4")] == [(0, 32)] * 3
    assert tuple(layout.xaxis3.range) == (0, 8)  # no time axis
    fig.reset()
    assert len(trace(fig, "n").y) == 0
    assert len(trace(fig, "heat").z) == 0
    assert tuple(layout.xaxis.range) == (0, 8)


def test_observe_comes_at_multiples_of_every():
    fig = show(counting(history=16))
    assert text_of(fig._readout) == "n is 1, seen 0, of 2 rows"
    fig.step(11)
    np.testing.assert_array_equal(array(trace(fig, "seen").x), [4, 8])
    np.testing.assert_array_equal(array(trace(fig, "seen").y), [4, 8])
    assert text_of(fig._readout) == "n is 11, seen 8, of 2 rows"


def test_batch_slider_sets_the_rows_of_the_next_minibatch():
    fig = show(counting())
    fig.step()
    fig.set(batch=5)
    assert fig.outputs["rows"] == 5
    assert fig.number == 1
    fig.step()
    assert (fig.outputs["rows"], fig.outputs["n"]) == (5, 2)


def test_controls_that_shape_the_beginning_restart():
    fig = show(counting())
    fig.step(3)
    fig.set(limit=500)
    assert fig.number == 3
    fig.set(start=10)
    assert fig.number == 0
    fig.step()
    assert fig.outputs["n"] == 11


def test_reset_and_seed_begin_again():
    fig = show(counting())
    fig.step(3)
    fig.reset()
    assert fig.number == 0
    fig.reset(seed=2)
    assert fig._transport.seed.value == 2
    fig.step()
    assert fig.outputs["n"] == 201
    fig._transport.seed.value = 3  # as a reader types it
    assert fig.number == 0
    fig._transport.step.click()
    assert fig.outputs["n"] == 301
    fig._transport.reset.click()
    assert (fig.number, text_of(fig._transport.status)) == (0, "step 0: press Play")


def test_divergence_stops_and_says_when():
    fig = show(counting(), limit=5)
    fig.step(100)
    assert fig.number == 6
    assert text_of(fig._transport.status) == "step 6"
    assert message_of(fig).startswith("the first diverged at step 6")
    assert text_of(fig._readout).startswith("n is not a number")
    fig.step(100)  # the other one goes on
    assert fig.number == 20
    assert "the first diverged at step 6, the second diverged at step 20" in message_of(fig)
    assert fig._transport.play.disabled
    assert fig._transport.step.disabled
    for method in (fig.step, fig.play):
        with pytest.raises(RuntimeError, match="reset"):
            method()
    fig.reset()
    assert message_of(fig) == ""
    assert not fig._transport.play.disabled
    fig.step(3)
    assert fig.outputs["n"] == 3


def test_playing_stops_at_a_divergence_and_goes_on_when_told():
    async def watch():
        fig = show(counting(), limit=5)
        fig._transport.speed.value = "fast"
        fig._transport.play.click()
        await until(lambda: not fig.playing)
        assert fig.number == 6
        assert "the first diverged at step 6" in message_of(fig)
        assert fig._transport.play.description == "Play"
        fig.play()
        await until(lambda: not fig.playing)
        assert fig.number == 20
        await until(nothing_left)

    asyncio.run(watch())


def test_playing_leaves_room_for_moved_sliders():
    async def watch():
        fig = show(counting(watch={}))
        fig._transport.speed.value = "fast"
        fig.play()
        await until(lambda: fig.number > 10)
        fig._panel.inputs["batch"].value = 7
        await until(lambda: fig.outputs["rows"] == 7)
        assert fig.playing
        assert fig.number > 10
        fig._panel.inputs["start"].value = 50  # a new beginning, still playing
        await until(lambda: fig.number > 1 and fig.outputs["n"] - fig.number == 50)
        assert fig.playing
        fig.pause()
        stopped = fig.number
        await until(nothing_left)
        assert fig.number == stopped
        assert array(trace(fig, "n").y)[-1] > 50  # the last steps are drawn

    asyncio.run(watch())


def test_speed_is_kept():
    async def watch():
        fig = show(counting(watch={}))
        fig._transport.speed.value = "slow"
        clock = asyncio.get_running_loop().time
        fig.play()
        await until(lambda: fig.number >= 1)
        began = clock()
        await until(lambda: fig.number >= 4)
        assert clock() - began > 0.5
        fig.close()

    asyncio.run(watch())


def test_play_needs_an_event_loop():
    fig = show(counting())
    with pytest.raises(RuntimeError, match=r"step\(n\)"):
        fig.play()
    assert not fig.playing


def test_ten_figures_play_side_by_side():
    async def watch():
        figures = [show(counting(name=f"counting-{k}", watch={})) for k in range(10)]
        for fig in figures:
            fig.play()
        await until(lambda: all(fig.number > 3 for fig in figures))
        for fig in figures:
            fig.close()
        await until(nothing_left)

    asyncio.run(watch())


# --- messages in a thread of their own ------------------------------------------------------------


def in_subshell(*messages) -> threading.Thread:
    """Hear messages as a subshell of ipykernel does: in a thread, and in an event loop, of its own.

    Both end with the messages, as those of a notebook end when its tab is closed.
    """

    async def hear():
        for message in messages:
            message()

    thread = threading.Thread(target=lambda: asyncio.run(hear()))
    thread.start()
    return thread


def test_a_pause_in_the_midst_of_a_step_leaves_picture_and_number_the_same():
    begun = threading.Event()

    def slow(state, rows, **controls):
        begun.set()
        time.sleep(0.05)
        return counting().step(state, rows, **controls)

    async def watch():
        fig = playing(step=slow)
        await until(lambda: fig.number >= 3)
        begun.clear()
        thread = in_subshell(begun.wait, fig._transport.play.click)
        await stops(fig)
        thread.join()
        shown = len(array(trace(fig, "n").y))
        assert shown == fig.number
        assert f"step {shown}<" in fig._transport.status.value

    asyncio.run(watch())


def test_a_start_in_the_last_tick_of_a_loop_begins_another():
    ticks, threads = [], []

    def tick() -> None:
        ticks.append(threading.current_thread())
        if len(ticks) == 1:
            threads.append(in_subshell(loop.start))
            time.sleep(0.05)

    async def watch():
        nonlocal loop
        loop = Loop(tick, failed=print)
        loop.start()
        await until(lambda: len(ticks) == 2 and not loop.running)
        threads[0].join()

    loop = None
    asyncio.run(watch())
    assert ticks == [threading.main_thread()] * 2


def test_a_browser_that_asks_in_the_midst_of_an_update_gets_it_whole(monkeypatch):
    begun, done, plain = threading.Event(), [], go.FigureWidget.plotly_update

    def slow(*args):
        begun.set()
        time.sleep(0.05)
        plain(*args)
        done.append("updated")

    fig = show(HALVES)
    monkeypatch.setattr(go.FigureWidget, "plotly_update", slow)
    monkeypatch.setattr(fig.figure, "send", lambda content: done.append(content["answer"]))
    thread = in_subshell(begun.wait, lambda: fig.figure._hear({"ask": "figure"}, []))
    fig.set(x=4)
    thread.join()
    assert done == ["updated", "figure"]


def test_training_goes_on_after_the_thread_that_began_it_has_ended():
    async def watch():
        fig = show(counting(watch={}))
        await asyncio.to_thread(in_subshell(fig._transport.play.click).join)
        await until(lambda: fig.number > 20)
        fig.close()
        await until(nothing_left)

    asyncio.run(watch())


def test_no_movement_of_a_slider_is_lost_between_threads():
    async def watch():
        fig = show(HALVES)
        positions = [-2 + 0.5 * k for k in range(7)]
        for position in positions * 20:
            move = partial(setattr, fig._panel.inputs["x"], "value", position)
            thread = in_subshell(move)
            await until(lambda: not thread.is_alive() and not fig._loop.running)  # noqa: B023
            assert fig.values["x"] == pytest.approx(10**position)
            assert fig.outputs["half"] == pytest.approx(10**position / 2)
        fig.close()

    asyncio.run(watch())


# --- the end of a loop ----------------------------------------------------------------------------


def playing(**changes):
    fig = show(counting(watch={}, **changes))
    fig._transport.speed.value = "fast"
    fig.play()
    return fig


async def stops(fig) -> None:
    """Check that a figure comes to rest, for good."""
    await until(lambda: not fig._loop.running)
    await until(nothing_left)
    assert not fig.playing
    number = fig.number
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert fig.number == number


ENDS = {
    "close": lambda fig: fig.close(),
    "pause": lambda fig: fig.pause(),
    "step": lambda fig: fig.step(),
    "reset": lambda fig: fig.reset(),
    "interrupt": lambda fig: interrupt_all(),
    "no view left": lambda fig: setattr(fig.widget, "_view_count", 0),
    "comm closed": lambda fig: fig.widget.comm.handle_close({}),
    "no answer": lambda fig: setattr(fig._canvas, "_sent", -math.inf),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_loop_ends(end):
    async def watch():
        fig = playing()
        fig.widget._view_count = fig.figure._view_count = 1
        fig.figure.heard = -math.inf
        await until(lambda: fig.number > 2)
        end(fig)
        await stops(fig)

    asyncio.run(watch())


def test_close_drops_what_waits_for_the_browser():
    async def watch():
        fig = show(HALVES)
        fig.figure._view_count = 1
        fig.set(x=2)
        fig._panel.inputs["x"].value = 0.5
        await asyncio.sleep(0.01)
        assert fig._loop.running
        fig.close()
        await until(nothing_left)

    asyncio.run(watch())


def test_closed_figure_is_of_no_more_use():
    fig = show(counting())
    models = [fig.widget, fig.figure, fig._transport.play, fig._panel.inputs["batch"]]
    fig.close()
    fig.close()
    assert all(model.comm is None for model in models)
    for method in (fig.step, fig.play, fig.reset, fig.set):
        with pytest.raises(RuntimeError, match="closed"):
            method()


def test_running_a_cell_again_closes_its_old_figures(monkeypatch):
    here = ["cell-1", "execution-1"]
    monkeypatch.setattr(cells, "_here", lambda: tuple(here))

    async def watch():
        first, second = playing(), playing()  # one cell may show two figures
        here[:] = ["cell-2", "execution-2"]
        other = playing()
        assert not first._closed
        here[:] = ["cell-1", "execution-3"]
        again = playing()
        assert first._closed
        assert second._closed
        assert other.playing
        assert again.playing
        other.close()
        again.close()
        await until(nothing_left)

    asyncio.run(watch())


def test_without_cells_a_figure_of_the_same_name_stops():
    async def watch():
        old, other = playing(), playing(name="another")
        new = playing()
        assert (old.playing, other.playing, new.playing) == (False, True, True)
        old.step()  # it is only stopped
        new.close()
        other.close()
        await until(nothing_left)

    asyncio.run(watch())


# --- errors ---------------------------------------------------------------------------------------


def test_error_in_compute_is_raised_and_shown_and_nothing_moves():
    fig = show(HALVES)
    with pytest.raises(ValueError, match="cannot halve"):
        fig.set(x=5, fail=True)
    assert "ValueError: cannot halve <this>" in " ".join(message_of(fig).split()).replace(" :", ":")
    assert "see traceback" in message_of(fig)
    assert "test_jupyter_host.py" in message_of(fig)
    assert fig.values == HALVES.defaults()
    assert fig.outputs["half"] == 0.5
    assert fig._panel.inputs["x"].value == 0
    fig.set(x=2)
    assert message_of(fig) == ""


def test_error_after_a_moved_control_is_shown_and_logged(caplog):
    async def move():
        fig = show(HALVES)
        fig._panel.inputs["fail"].value = True
        await until(lambda: "cannot halve" in message_of(fig))
        assert nothing_left()
        fig._panel.inputs["fail"].value = False
        await until(lambda: message_of(fig) == "")

    asyncio.run(move())
    assert "cannot halve" in caplog.text
    assert "Traceback" in caplog.text


def test_error_in_a_step_is_shown_and_logged_and_stops_the_run(caplog):
    async def watch():
        fig = playing()
        fig.set(broken=200)
        await stops(fig)
        assert fig.number == 199  # the broken step did not half happen
        assert "no step from here" in message_of(fig)
        assert fig._transport.play.description == "Play"

    asyncio.run(watch())
    assert "ZeroDivisionError" in caplog.text


def test_error_behind_a_button_is_shown_and_logged(caplog):
    fig = show(counting(), broken=5)
    fig.step(4)
    fig._transport.step.click()
    assert "no step from here" in message_of(fig)
    assert "ZeroDivisionError" in caplog.text
    assert fig.number == 4


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"alpha": 1}, ValueError, "no control"),
        ({"gamma": 99}, ValueError, r"outside \[-3, 3\]"),
        ({"gamma": math.nan}, ValueError, "outside"),
        ({"gamma": "2"}, TypeError, "number"),
        ({"hold": 1}, TypeError, "True or False"),
        ({"activation": "softmax"}, ValueError, "choose from"),
        ({"gamma": 1, "beta": -99}, ValueError, "beta"),
    ],
)
def test_bad_values_are_named_and_nothing_moves(values, error, words):
    with pytest.raises(error, match=words):
        show("drift", **values)
    fig = show("drift")
    before, picture = fig.values, fig.figure.to_dict()
    with pytest.raises(error, match=words):
        fig.set(**values)
    assert fig.values == before
    assert str(fig.figure.to_dict()) == str(picture)
    assert message_of(fig) == ""  # the caller knows; the reader need not
    fig.close()


def test_bad_names_seeds_and_step_numbers_are_named():
    with pytest.raises(ValueError, match="no figure is called 'dirft'"):
        show("dirft")
    fig = show(counting())
    for seed in (-1, 10_000, 1.5, True, "0"):
        with pytest.raises(ValueError, match="0 to 9999"):
            fig.reset(seed=seed)
    for n in (0, -1, 1.5, True, "1", math.inf):
        with pytest.raises(ValueError, match="whole number"):
            fig.step(n)
    assert (fig.number, fig._transport.seed.value) == (0, 0)
