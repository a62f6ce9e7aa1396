"""Kernel and page are one figure: the same events, and after each of them the same numbers.

A script of events drives a figure in a kernel and the same one in the built book. After every event
all that is drawn is read back from both and compared: step, controls, seed, every bound trace with
its history, the readout, and what is said of a divergence.
"""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape

import numpy as np
import pytest

from bnviz import explorers, show
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Explorer, Simulation
from bnviz.jupyter.canvas import trace_values
from tests.pages import PAGE
from tests.reader import Figure
from tests.twin import differing

Event = tuple[str, object]  # what a reader does, and with what

# "play" ends with a pause at some step; the kernel goes on to the same one.
SCRIPT: tuple[Event, ...] = (
    ("step", 3),
    ("play", 6),
    ("set", {"layer": 2.0, "unit": 9.0}),  # another element of the same histories
    ("set", {"gamma": 2.0}),  # a look; it switches on another control
    ("step", 1),
    ("set", {"batch": 64.0, "lr": 0.1}),  # two at once
    ("step", 4),
    ("set", {"scale": 1.0}),  # begins another run
    ("step", 2),
    ("seed", 7),
    ("step", 12),  # observed after ten
    ("reset", None),
    # the weights are large, so that one network diverges, and the rate is not, so that the other
    # does not magnify how two programs round
    ("set", {"activation": "relu", "lr": 1.0, "scale": 4.0}),
    ("diverge", None),
    ("set", {"layer": 3.0}),
    ("step", 2),  # the other network goes on
    ("reset", None),
    ("step", 1),
)

# What every other Simulation must do as well; the controls that it lacks are left out, a value that
# is beyond its range becomes the end of it, and None is a tenth of the start: high rates amplify
# rounding at every step, and no two ways of computing agree for long. Slowly, so that a pause on a
# busy machine comes a step or two late, not twenty.
SHORT: tuple[Event, ...] = (
    ("speed", "slow"),
    ("step", 2),
    ("set", {"lr": None}),
    ("step", 1),
    ("set", {"batch": 64.0}),
    ("play", 2),
    ("seed", 3),
    ("step", 1),
    ("reset", None),
)


@dataclass
class Seen:
    """What a reader sees of a figure."""

    step: int
    seed: int
    controls: dict[str, object]
    traces: dict[str, dict[str, np.ndarray]]  # uid -> attribute -> values
    readout: str
    complaint: str
    pressable: bool  # Play and Step


class Kernel:
    """A figure in a kernel: it lives in an event loop of its own, as in a notebook."""

    def __init__(self, name: str):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.fig = self.call(lambda: show(name))

    def call(self, what: Callable, *args, **kwargs):
        async def inside():
            return what(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(120)

    def close(self) -> None:
        self.call(self.fig.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def play(self, until: int) -> None:
        """Play until that step at least, then pause."""

        async def inside():
            self.fig._transport.play.click()
            while self.fig.number < until:
                await asyncio.sleep(0.001)
            self.fig._transport.play.click()

        asyncio.run_coroutine_threadsafe(inside(), self._loop).result(120)

    def seed(self, seed: int) -> None:
        self.call(setattr, self.fig._transport.seed, "value", seed)

    def seen(self) -> Seen:
        fig = self.fig
        places = fig.explorer.places(fig.explorer.numbers(fig.values))
        traces = trace_values(fig.explorer, fig.outputs, fig._run.histories, places)
        return Seen(
            step=fig.number,
            seed=fig._transport.seed.value,
            controls=fig.values,
            traces={u: {k: _array(v) for k, v in t.items()} for u, t in traces.items()},
            readout=_text(fig._readout.value),
            complaint=_text(fig._note.value),
            pressable=not fig._transport.play.disabled,
        )


class Page:
    """The same figure in the built book, moved as a reader moves it."""

    def __init__(self, figure: Figure, simulation: Simulation):
        self.figure, self.simulation = figure, simulation

    def set(self, values: dict[str, object]) -> None:
        """Move several controls before the page can do anything about the first."""
        moves = []
        for control in self.simulation.controls:
            if control.name in values:
                value = values[control.name]
                slider = isinstance(control, Slider)
                moves.append([control.name, control.position(value) if slider else value])
        self.figure.root.evaluate(
            "(node, moves) => { for (const [name, value] of moves) {"
            " const input = node.querySelector(`[name=${name}]`); input.value = value;"
            " input.dispatchEvent(new Event('input', {bubbles: true}));"
            " input.dispatchEvent(new Event('change', {bubbles: true})); } }",
            moves,
        )

    def step(self, n: int) -> None:
        begun = self.figure.step
        for _ in range(n):  # as fast as one can press
            self.figure.press("step")
        self.figure.wait_for(f"Number(node.dataset.step) >= {begun + n}")

    def play(self, until: int) -> None:
        self.figure.press("play")
        self.figure.wait_for(f"Number(node.dataset.step) >= {until}")
        self.figure.press("play")

    def diverge(self) -> None:
        self.figure.press("play")
        self.figure.wait_for("node.querySelector('.bnviz-note').textContent.includes('diverged')")

    def seed(self, seed: int) -> None:
        field = self.figure.root.locator("[name=seed]")
        field.fill(str(seed))
        field.press("Enter")

    def reset(self) -> None:
        self.figure.press("reset")

    def seen(self) -> Seen:
        self.figure.rest()
        traces: dict[str, dict[str, np.ndarray]] = {}
        for binding in self.simulation.bindings:
            found = traces.setdefault(binding.trace, {})
            for attribute in (binding.attribute, *(["x"] if binding.append else [])):
                found[attribute] = _array(self.figure.drawn(binding.trace, attribute))
        return Seen(
            step=self.figure.step,
            seed=int(self.figure.root.locator("[name=seed]").input_value()),
            controls={c.name: self._value(c) for c in self.simulation.controls},
            traces=traces,
            readout=self.figure.readout,
            complaint=self.figure.note,
            pressable=self.figure.root.locator("[name=play]").is_enabled(),
        )

    def _value(self, control) -> object:
        input = self.figure.root.locator(f"[name={control.name}]")
        if isinstance(control, Slider):
            return control.stop_at(float(input.input_value()))
        return input.is_checked() if control.kind == "toggle" else input.input_value()


def _array(values) -> np.ndarray:
    return np.array(values, dtype=float)


def _text(html: str) -> str:
    return unescape(re.sub("<[^>]*>", "", html))


def do(event: Event, kernel: Kernel, page: Page) -> None:
    """One event for both."""
    what, value = event
    if what == "step":
        page.step(value)
        kernel.call(kernel.fig.step, value)
    elif what == "play":
        begun = kernel.fig.number
        kernel.play(begun + value)
        page.play(kernel.fig.number)
        page.figure.rest()
        if behind := page.figure.step - kernel.fig.number:
            kernel.call(kernel.fig.step, behind)
    elif what == "set":
        page.set(value)
        kernel.call(kernel.fig.set, **value)
    elif what == "seed":
        page.seed(value)
        kernel.seed(value)
    elif what == "speed":
        page.figure.root.locator("[name=speed]").select_option(value)
        kernel.call(setattr, kernel.fig._transport.speed, "value", value)
    elif what == "diverge":
        page.diverge()
        kernel.call(kernel.fig.step, 10_000)
    elif what == "reset":
        page.reset()
        kernel.call(kernel.fig._transport.reset.click)


def assert_same(kernel: Seen, page: Seen, explorer: Explorer, event: Event) -> None:
    """Every number, as far as two ways of computing it in float32 agree."""
    assert page.step == kernel.step, event
    assert page.seed == kernel.seed, event
    assert page.controls == kernel.controls, event
    assert page.pressable == kernel.pressable, event
    assert page.complaint == kernel.complaint, event
    for binding in explorer.bindings:
        ours, theirs = kernel.traces[binding.trace], page.traces[binding.trace]
        where = f"{binding.trace}.{binding.attribute} after {event}"
        if binding.append:
            np.testing.assert_array_equal(theirs["x"], ours["x"], err_msg=where)
        a, b = ours[binding.attribute], theirs[binding.attribute]
        assert a.shape == b.shape, where
        wrong = differing(a, b, 1e-3)
        if explorer.counts.get(binding.output) in ("share", "histogram", "log histogram"):
            # a sample within rounding of an edge may be counted on either side of it
            assert wrong.sum() <= 0.1 * wrong.size, where
        else:
            assert not wrong.any(), f"{where}: {a[wrong][:5]} is not {b[wrong][:5]}"
    assert_same_words(kernel.readout, page.readout, event)


NUMBER = re.compile(r"−?\d+(?:\.\d+)?")


def assert_same_words(ours: str, theirs: str, event: Event) -> None:
    """The same sentence; its numbers may differ by one in the last digit."""
    assert NUMBER.sub("#", theirs) == NUMBER.sub("#", ours), event
    for a, b in zip(NUMBER.findall(ours), NUMBER.findall(theirs), strict=True):
        last = 10.0 ** -len(a.partition(".")[2])
        near = abs(float(a.replace("−", "-")) - float(b.replace("−", "-"))) < 1.5 * last
        assert near, f"{a} is not {b} after {event}: {ours}"


@pytest.fixture
def both(reader, name) -> Iterator[tuple[Kernel, Page]]:
    """The figure of that name in both hosts and at step 0."""
    kernel = Kernel(name)
    try:
        page = Page(reader.figure(name), explorers.get(name))
        page.reset()
        yield kernel, page
    finally:
        kernel.close()


@pytest.mark.parametrize("name", ["drift"])
def test_kernel_and_page_show_the_same_after_every_event(both, name):
    kernel, page = both
    figure = kernel.fig.explorer
    assert_same(kernel.seen(), page.seen(), figure, ("begin", None))
    for event in SCRIPT:
        do(event, kernel, page)
        assert_same(kernel.seen(), page.seen(), figure, event)


OTHERS = [
    name
    for name in explorers.names()
    if isinstance(explorers.get(name), Simulation) and name != "drift"
]


@pytest.mark.long
@pytest.mark.parametrize("name", OTHERS)
def test_every_training_is_the_same_in_kernel_and_page(both, name):
    kernel, page = both
    simulation = kernel.fig.explorer
    own = {control.name: control for control in simulation.controls}
    for what, value in SHORT:
        if what == "set":
            value = {
                name: own[name].nearest(own[name].value / 10 if v is None else v)
                for name, v in value.items()
                if name in own
            }
            if not value:
                continue
        do((what, value), kernel, page)
        assert_same(kernel.seen(), page.seen(), simulation, (what, value))


@pytest.mark.parametrize("path", sorted(set(PAGE.values())))
def test_every_stop_of_every_slider_is_the_same_number(reader, path):
    """To the last bit: the page's arithmetic adds nothing to the table of stops."""
    for name in (name for name, page in PAGE.items() if page == path):
        found = Figure(reader.page, name).root.evaluate(READ_STOPS, reader.script)
        sliders = [c for c in explorers.get(name).controls if isinstance(c, Slider)]
        assert found == {c.name: list(c.stops) for c in sliders}, name


# Every place of a slider, by the page's own Controls over the description that the page was given.
READ_STOPS = """async (node, base) => {
  const { Controls } = await import(new URL("controls.js", base).href);
  const spec = await (await fetch(node.dataset.spec)).json();
  const controls = new Controls("test", spec.controls, () => {});
  const sliders = spec.controls.filter(({ kind }) => kind === "slider");
  return Object.fromEntries(sliders.map((control) => {
    const input = controls.inputs[control.name];
    return [control.name, control.stops.map((_, k) => {
      input.value = String(Number(input.min) + k * control.step);
      return controls.value(control);
    })];
  }));
}"""
