"""Faults in the page: the reader sees the right picture, or a sentence that says what to do."""

import re

import pytest

from bnviz import explorers
from tests import faults
from tests.drawn import assert_drawn
from tests.faults import FILES, FILES_OF_A_TRAINING, NAME, PAGE, Visit, visiting
from tests.reader import reading
from tests.twin import first_outputs

pytestmark = pytest.mark.xdist_group("reader")

# Keeps the page's workers within reach of a test.
KEEP_WORKERS = (
    "window.workers = []; window.Worker = class extends Worker {"
    " constructor(...all) { super(...all); window.workers.push(this); } };"
)
KILL = "window.workers.forEach(worker => worker.terminate())"
HURRY = (  # lets a test shorten the page's patience, tenfold, by `hurried = true`
    "(() => { const wait = window.setInterval; window.hurried = false;"
    " window.setInterval = (act, time) => { let n = 0; return wait("
    "() => { if (window.hurried || ++n % 10 === 0) act(); }, time / 10); }; })();"
)


def works(figure, gamma: float = 2.0) -> None:
    """A control is moved, and the picture is the right one."""
    figure.wait_for("node.dataset.state === 'live'")
    figure.move("gamma", gamma)
    assert_drawn(figure, explorers.get(NAME), {"gamma": gamma})
    assert figure.note == ""


def steps(visit: Visit) -> None:
    """The training takes a step."""
    visit.state("live")
    visit.seen.press("step")
    visit.seen.wait_for("Number(node.dataset.step) >= 1")
    assert visit.seen.note == ""


def said(**values) -> str:
    """What the readout says of these values."""
    explorer = explorers.get(NAME)
    return explorer.say(explorer.numbers(values), first_outputs(explorer, values))


@pytest.mark.parametrize("file", [*FILES, *FILES_OF_A_TRAINING])
def test_a_spoilt_file_is_said_and_trying_again_works(browser, book_url, file):
    ways = [faults.missing, faults.refused, faults.cut, faults.noise]
    if file in ("module", "numbers"):
        ways.append(faults.flipped)
    first = [*FILES, *FILES_OF_A_TRAINING].index(file) % len(ways)
    training = file in FILES_OF_A_TRAINING
    with visiting(browser, book_url, training=training) as visit:
        visit.spoil(file)
        for number, visit.fault in enumerate([*ways[first:], *ways[:first]]):
            visit.try_again() if number else visit.look()
            note = visit.fails()
            assert re.match(r"This figure (cannot compute right now|could not be drawn): ", note)
            assert not re.search(r"undefined|null|object|Error|\[", note), note
        visit.fault = None
        visit.seen.press("retry")
        steps(visit) if training else works(visit.seen)


def test_a_page_without_its_own_scripts_says_what_it_needs(browser, book_url):
    with visiting(browser, book_url) as visit:
        visit.context.route(re.compile(r"/figure\.js"), faults.missing)
        visit.look()
        visit.page.wait_for_load_state("networkidle")
        assert "from a web server" in visit.sentence()


def test_after_a_failure_moving_a_control_tries_again(browser, book_url):
    with visiting(browser, book_url) as visit:
        visit.spoil("module")
        visit.fault = faults.missing
        visit.look()
        visit.fails()
        visit.fault = None
        visit.seen.root.locator("[name=gamma]").fill("-1")
        visit.state("live")
        assert_drawn(visit.seen, explorers.get(NAME), {"gamma": -1.0})


def test_a_slow_network_shows_its_progress_and_forgets_no_control(browser, book_url):
    held = []
    with visiting(browser, book_url) as visit:
        visit.spoil("module")
        visit.fault = held.append
        figure = visit.look()
        visit.state("loading")
        assert "Loading" in figure.note
        assert figure.root.locator("progress").count() == 1
        visit.shows_a_picture()
        for value in ("-3", "1.5", "2.5"):
            figure.root.locator("[name=gamma]").fill(value)
        while not held:
            visit.page.wait_for_timeout(20)
        visit.page.wait_for_timeout(300)
        visit.state("loading")
        held[0].continue_()
        figure.wait_for("node.dataset.state === 'live'")
        assert_drawn(figure, explorers.get(NAME), {"gamma": 2.5})


BLOCKED = {
    "wasm by its absence": ("delete globalThis.WebAssembly;", "WebAssembly is blocked"),
    "wasm without SIMD": (
        "WebAssembly.validate = () => false;",
        "has no SIMD; use a newer browser",
    ),
    "workers by their absence": ("delete window.Worker;", "worker could not be started"),
    "workers by an exception": (
        "window.Worker = class { constructor() { throw new Error('workers are forbidden'); } };",
        "workers are forbidden",
    ),
}
HEADERS = {
    "wasm by a header": ("script-src 'self' 'unsafe-inline'", "WebAssembly is blocked"),
    "workers by a header": ("worker-src 'none'", "worker could not be started"),
}


@pytest.mark.parametrize("what", [*BLOCKED, *HEADERS])
def test_what_the_browser_blocks_is_said(browser, book_url, what):
    script, reason = BLOCKED.get(what, ("", ""))
    training = what.startswith("workers")

    def answer(route):
        headers = {"content-security-policy": HEADERS[what][0]} if what in HEADERS else {}
        response = route.fetch()
        route.fulfill(response=response, headers={**response.headers, **headers})

    with visiting(browser, book_url, init=script, training=training) as visit:
        visit.context.route(re.compile(r"\.html(\?|$)"), answer)
        visit.look()
        assert (reason or HEADERS[what][1]) in visit.fails()
        visit.context.unroute_all()
        visit.page.reload()
        visit.look()
        if what in HEADERS:
            steps(visit) if training else works(visit.seen)


def test_offline_what_was_loaded_works_and_the_rest_comes_with_the_network(browser, book_url):
    with visiting(browser, book_url) as visit:
        figure = visit.look()
        works(figure)
        other = "document.querySelectorAll('figure.bnviz').length"
        assert visit.page.evaluate(other) > 1
        visit.context.set_offline(True)
        works(figure, -1.0)
        late = visit.page.locator(f"figure.bnviz:not([data-explorer={NAME}])").last
        late.scroll_into_view_if_needed()
        last = late.get_attribute("data-explorer")
        lost = faults.Figure(visit.page, last)
        if lost.evaluate("node.dataset.state") != "live":
            lost.wait_for("node.dataset.state === 'failed'")
            assert "check the connection to the network" in lost.note
            visit.context.set_offline(False)
            lost.press("retry")
        lost.wait_for("node.dataset.state === 'live'")


def test_without_javascript_a_picture_and_a_sentence_remain(browser, book_url):
    with reading(browser, book_url, java_script_enabled=False) as reader:
        reader.open(PAGE)
        for figure in reader.page.locator("figure.bnviz").all():
            assert "JavaScript" in figure.inner_text()
            box = figure.locator(".bnviz-poster >> visible=true").bounding_box()
            assert box["width"] > 300


def test_from_a_file_a_picture_and_a_sentence_remain(browser, book_url, request):
    page = request.config.rootpath / "_build" / "html" / PAGE
    with visiting(browser, book_url) as visit:
        visit.page.goto(page.as_uri())
        visit.seen.root.scroll_into_view_if_needed()
        visit.page.wait_for_timeout(300)
        assert "from a web server" in visit.sentence()


def test_two_tabs_do_not_disturb_each_other(browser, book_url):
    with visiting(browser, book_url) as one:
        two = faults.Visit(one.context, book_url)
        one.look()
        two.look()
        works(one.seen, 2.0)
        works(two.seen, -1.0)
        one.page.close()
        works(two.seen, 2.5)


def test_back_and_forward_show_a_picture_that_fits_its_controls(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open(PAGE)
        works(reader.figure(NAME))
        for _ in range(2):
            reader.open("book/shift.html")
            reader.page.go_back()
            figure = reader.figure(NAME)
            gamma = float(figure.root.locator("[name=gamma]").input_value())
            assert figure.readout == said(gamma=gamma)
            works(figure, -2.0)


def test_a_hidden_tab_trains_no_further_and_goes_on_when_it_is_shown(browser, book_url):
    hide = (
        "hidden => {"
        " Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    with reading(browser, book_url) as reader:
        reader.open("book/shift.html")
        figure = reader.figure("drift")
        figure.press("play")
        figure.wait_for("Number(node.dataset.step) >= 3")
        for _ in range(3):
            reader.page.evaluate(hide, True)
            reader.page.wait_for_timeout(150)
            stopped = figure.step
            reader.page.wait_for_timeout(150)
            assert figure.step == stopped
            reader.page.evaluate(hide, False)
            figure.wait_for(f"Number(node.dataset.step) > {stopped}")
        for hidden in (True, False, True, False):  # quickly: still one loop, one step a frame
            reader.page.evaluate(hide, hidden)
        assert figure.root.locator("[name=play]").text_content() == "Pause"
        figure.press("play")


def test_a_killed_worker_is_noticed_and_replaced(browser, book_url):
    with visiting(browser, book_url, init=KEEP_WORKERS + HURRY, training=True) as visit:
        visit.look()
        steps(visit)
        visit.page.evaluate("window.hurried = true")
        visit.page.evaluate(KILL)
        visit.seen.press("step")
        assert "does not answer" in visit.fails()
        visit.page.evaluate("window.hurried = false")
        visit.seen.press("retry")
        steps(visit)
        assert visit.page.evaluate("window.workers.length") == 2


def test_a_figure_without_a_training_needs_no_worker(browser, book_url):
    with visiting(browser, book_url, init=KEEP_WORKERS) as visit:
        works(visit.look())
        assert visit.page.evaluate("window.workers.length") == 0


def test_a_worker_killed_in_training_loses_the_run_and_says_so(browser, book_url):
    with visiting(browser, book_url, init=KEEP_WORKERS + HURRY) as visit:
        visit.open("book/placement.html")
        figure, idle = visit.figure("placement"), visit.figure("channels")
        figure.root.scroll_into_view_if_needed()
        figure.press("play")
        figure.wait_for("Number(node.dataset.step) >= 3")
        visit.page.evaluate("window.hurried = true")
        visit.page.evaluate(KILL)
        figure.wait_for("node.dataset.state === 'failed'")
        assert "does not answer" in figure.note
        assert figure.root.locator("[name=play]").text_content() == "Play"
        assert idle.evaluate("node.dataset.state") == "static"  # it lost nothing that was shown
        visit.page.evaluate("window.hurried = false")
        figure.press("step")  # begins again, without the button
        figure.wait_for("node.dataset.step === '1'")
        assert figure.note == ""
        idle.root.scroll_into_view_if_needed()
        idle.press("step")
        idle.wait_for("node.dataset.step === '1'")


def test_a_worker_that_waits_for_a_slow_network_is_not_given_up(browser, book_url):
    held = []
    with visiting(browser, book_url, init=HURRY, training=True) as visit:
        visit.spoil("numbers")
        visit.fault = held.append
        visit.look()
        visit.state("loading")
        visit.page.evaluate("window.hurried = true")
        visit.page.wait_for_timeout(5000)
        visit.state("loading")
        held[0].continue_()
        steps(visit)
