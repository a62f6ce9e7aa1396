"""Long use of the page: thousands of events and of training steps, and no memory that stays taken.

What the worker holds is measured as well: there live the trainings and the states of their runs.
"""

import json

import pytest

from bnviz import explorers
from bnviz.figure.explorer import Simulation
from tests.pages import FIGURES
from tests.reader import reading

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("reader")]

PAGES = {path: names for path, names in FIGURES.items() if names and path != "intro.html"}
FIGURE_COUNT = sum(map(len, PAGES.values()))
EVENTS = 5_000
STEPS = 20_000
GROWTH = 1.10
SLACK = 300_000  # bytes; of a heap of 20 to 50 MB what compiled functions and caches may take

# Moves controls at random, as no reader would, and gives the page a frame now and then.
SHAKE = """async (node, {events, seed}) => {
  let state = seed;
  const random = () => (state = (state * 1664525 + 1013904223) >>> 0) / 2 ** 32;
  const controls = [...node.querySelectorAll(
    '.bnviz-controls :is(input, select), .bnviz-tools :is(select, input, button[name=reset],'
    + ' button[name=step], button[name=play])')];
  for (let k = 0; k < events; k++) {
    const control = controls[Math.floor(random() * controls.length)];
    if (control.tagName === 'BUTTON') control.click();
    else {
      if (control.type === 'checkbox') control.checked = random() < 0.5;
      else if (control.type === 'range') {
        const [low, high] = [Number(control.min), Number(control.max)];
        control.value = low + random() * (high - low);
      } else if (control.tagName === 'SELECT') {
        control.selectedIndex = Math.floor(random() * control.options.length);
      } else control.value = ['junk', '', '-1e9', '1e9', '0.5', '<b>'][Math.floor(random() * 6)];
      control.dispatchEvent(new Event('input', {bubbles: true}));
      control.dispatchEvent(new Event('change', {bubbles: true}));
    }
    if (k % 10 === 9) await new Promise(requestAnimationFrame);
  }
}"""


class Memory:
    """What JavaScript holds in a page and in its worker, after a collection of garbage."""

    def __init__(self, page):
        self.cdp = page.context.new_cdp_session(page)
        self.cdp.send("HeapProfiler.enable")
        self.answers, self.workers, self.asked = {}, [], 0
        self.cdp.on("Target.attachedToTarget", lambda e: self.workers.append(e["sessionId"]))
        self.cdp.on("Target.receivedMessageFromTarget", self._answer)
        attach = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": False}
        self.cdp.send("Target.setAutoAttach", attach)
        self.page = page

    def _answer(self, event) -> None:
        message = json.loads(event["message"])
        if "id" in message:
            self.answers[message["id"]] = message.get("result")

    def _ask_worker(self, method: str) -> dict:
        self.asked += 1
        message = json.dumps({"id": self.asked, "method": method})
        details = {"message": message, "sessionId": self.workers[0]}
        self.cdp.send("Target.sendMessageToTarget", details)
        while self.asked not in self.answers:
            self.page.wait_for_timeout(10)
        return self.answers[self.asked]

    def held(self) -> dict[str, int]:
        for _ in range(2):  # what a finalizer frees, the second collection takes
            self.cdp.send("HeapProfiler.collectGarbage")
            if self.workers:
                self._ask_worker("HeapProfiler.collectGarbage")
        found = {"page": self.cdp.send("Runtime.getHeapUsage")["usedSize"]}
        if self.workers:  # a page without trainings has none
            found["worker"] = self._ask_worker("Runtime.getHeapUsage")["usedSize"]
        return found


def grown(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """Where more is held than before, beyond what is allowed."""
    return [
        f"{where}: {held:,} bytes became {after[where]:,}"
        for where, held in before.items()
        if after[where] > GROWTH * held + SLACK
    ]


def calm(figure) -> None:
    """Training paused, and the last picture drawn."""
    figure.evaluate("(node.querySelector('[name=play]')?.textContent === 'Pause'"
                    " && node.querySelector('[name=play]').click(), 0)")  # fmt: skip
    figure.wait_for("['live', 'failed'].includes(node.dataset.state)")
    assert figure.evaluate("node.dataset.state") == "live", figure.note
    figure.page.wait_for_timeout(250)
    figure.rest()


@pytest.mark.parametrize("path", PAGES)
def test_thousands_of_events_leave_nothing_behind(browser, book_url, path):
    """Over all pages EVENTS of them; then every figure still shows what its controls say."""
    each = -(-EVENTS // FIGURE_COUNT)
    with reading(browser, book_url) as reader:
        reader.open(f"book/{path}")
        figures = [reader.figure(name) for name in PAGES[path]]
        memory = Memory(reader.page)
        held = []
        for events in (30, each):  # the first fill what is kept once: histories, compiled code
            for figure in figures:
                figure.root.scroll_into_view_if_needed()
                figure.root.evaluate(SHAKE, {"events": events, "seed": 1})
                calm(figure)
            held.append(memory.held())
        assert grown(*held) == []
        for figure, name in zip(figures, PAGES[path], strict=True):
            figure.press("reset")
            if isinstance(explorers.get(name), Simulation):
                figure.wait_for("node.dataset.step === '0'")
                figure.press("step")
                figure.wait_for("node.dataset.step === '1'")


def test_thousands_of_training_steps_leave_nothing_behind(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open("book/benefits.html")
        figure = reader.figure("learning-rate")
        memory = Memory(reader.page)
        figure.root.locator("[name=speed]").select_option("fast")
        held = []
        for steps in (650, 650 + STEPS):  # the histories are full after 300, and merged after 600
            figure.press("play")
            figure.wait_for(f"Number(node.dataset.step) >= {steps}", timeout=40 * steps + 30_000)
            figure.press("play")
            calm(figure)
            held.append(memory.held())
        assert grown(*held) == []
        assert len(figure.drawn("bn-loss", "x")) <= 300


def test_memory_that_stays_taken_would_be_seen(browser, book_url):
    """A check that cannot fail is a bug: something is kept in the page, and in its worker."""
    with reading(browser, book_url) as reader:
        reader.open("book/shift.html")
        reader.figure("drift")
        memory = Memory(reader.page)
        before = memory.held()
        keep = "globalThis.kept = Array.from({length: 2e6}, (_, k) => k / 3)"
        reader.page.evaluate(keep + ", 0")
        reader.page.workers[0].evaluate(keep + ", 0")
        assert [found.split(":")[0] for found in grown(before, memory.held())] == ["page", "worker"]
