"""The built book in a real browser: the figures compute there what PyTorch computes here."""

import math

import numpy as np
import pytest
import torch

from bnviz import explorers
from bnviz.controls import Slider
from bnviz.explorer import Simulation
from bnviz.prng import Shuffler
from tests.reader import reading

PAGES = {"intro.html": "drift", "shift.html": "drift", "steps.html": "scale-shift"}
STILL = [n for n in explorers.names() if not isinstance(explorers.get(n), Simulation)]
SHOWN_ON = {name: page for page, name in PAGES.items()}

pytestmark = pytest.mark.xdist_group("page")


def losses(simulation: Simulation, steps: int, seed: int = 0, **values) -> dict[str, list[float]]:
    """What Python computes for the same seed."""
    controls = simulation.tensors(values)
    state = simulation.initial(torch.tensor(float(seed)), **controls)
    rows = Shuffler(simulation.rows, seed)
    record = {name: [] for name in simulation.watch}
    for _ in range(steps):
        state, outputs = simulation.step(state, rows.take(int(controls["batch"])), **controls)
        for name, kept in record.items():
            kept.append(float(outputs[name]))
    return record


@pytest.mark.parametrize("path", PAGES)
def test_every_page_comes_alive_without_an_error_or_another_host(browser, book_url, path):
    with reading(browser, book_url) as reader:
        reader.open(f"book/{path}")
        figure = reader.figure(PAGES[path])
        assert figure.root.locator("figcaption").text_content()
        assert figure.readout


@pytest.mark.parametrize("name", STILL)
def test_every_control_at_both_ends_draws_what_pytorch_gives(browser, book_url, name):
    explorer = explorers.get(name)
    with reading(browser, book_url) as reader:
        reader.open(f"book/{SHOWN_ON[name]}")
        figure = reader.figure(name)
        for control, value in _ends(explorer):
            figure.press("reset")
            position = control.position(value) if isinstance(control, Slider) else value
            figure.move(control.name, position)
            _assert_drawn(figure, explorer, {control.name: value})


@pytest.mark.parametrize("name", [n for n in explorers.names() if n not in STILL])
def test_every_control_at_both_ends_still_trains(browser, book_url, name):
    explorer = explorers.get(name)
    with reading(browser, book_url) as reader:
        reader.open(f"book/{SHOWN_ON[name]}")
        figure = reader.figure(name)
        for control, value in _ends(explorer):
            figure.press("reset")
            figure.wait_for("node.dataset.step === '0'")
            figure.move(
                control.name, control.position(value) if isinstance(control, Slider) else value
            )
            figure.press("step")
            figure.wait_for("node.dataset.step === '1'")
            said = {control.name: value}
            if isinstance(control, Slider) and control.switches_on:
                said[control.switches_on] = True
            first = losses(explorer, 1, **said)
            for output in explorer.watch:
                drawn = figure.drawn(output.replace("_", "-"), "y")
                np.testing.assert_allclose(drawn, first[output], rtol=1e-4, err_msg=str(said))


def _ends(explorer):
    for control in explorer.controls:
        if isinstance(control, Slider):
            yield from ((control, control.min), (control, control.max))
        else:
            for value in getattr(control, "options", (True, False)):
                if value != control.value:
                    yield control, value


def _assert_drawn(figure, explorer, values):
    outputs = explorer.outputs(**values)
    figure.wait_for(  # the newest values may still be on their way
        f"node.querySelector('.bnviz-readout').textContent === {_quoted(explorer, values, outputs)}"
    )
    figure.rest()
    for binding in explorer.bindings:
        drawn = np.array(figure.drawn(binding.trace, binding.attribute), dtype=float)
        expected = binding.pick(outputs).numpy()
        np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=2e-5, err_msg=str(binding))


def _quoted(explorer, values, outputs) -> str:
    import json

    return json.dumps(explorer.say(explorer.numbers(values), outputs))


def test_a_slider_moved_quickly_ends_at_its_last_value(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open("book/steps.html")
        figure = reader.figure("scale-shift")
        figure.evaluate(
            "(() => { const input = node.querySelector('[name=gamma]');"
            " for (let v = -3; v <= 2.5; v += 0.05) { input.value = v;"
            " input.dispatchEvent(new Event('input', {bubbles: true})); } })()"
        )
        _assert_drawn(figure, explorers.get("scale-shift"), {"gamma": 2.5})


def test_play_trains_and_its_losses_are_pythons(browser, book_url):
    expected = losses(explorers.get("drift"), 100)
    with reading(browser, book_url) as reader:
        reader.open("book/shift.html")
        figure = reader.figure("drift")
        figure.press("play")
        figure.wait_for("Number(node.dataset.step) >= 100")
        figure.press("play")
        for output, trace in (("plain_loss", "plain-loss"), ("bn_loss", "bn-loss")):
            drawn = figure.drawn(trace, "y")[:100]
            np.testing.assert_allclose(drawn, expected[output], rtol=0, atol=1e-4)
        assert figure.drawn("bn-loss", "x")[:3] == [1, 2, 3]
        heat = np.array(figure.drawn("bn-1-over-time", "z"))
        assert heat.shape[1] == len(figure.drawn("bn-loss", "x"))


def test_controls_act_while_it_trains_and_gamma_holds_every_layer(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open("book/shift.html")
        figure = reader.figure("drift")
        figure.press("play")
        figure.wait_for("Number(node.dataset.step) >= 5")
        figure.move("gamma", 0)
        assert figure.root.locator('[name="hold"]').is_checked()
        figure.move("beta", 2)
        seen = figure.step
        figure.wait_for(f"Number(node.dataset.step) > {seen + 3}")
        figure.press("play")
        assert "With BN: mean 2.0, std 0.0" in figure.readout
        stopped = figure.step
        figure.press("step")
        figure.wait_for(f"Number(node.dataset.step) === {stopped + 1}")


def test_a_run_longer_than_the_history_keeps_its_beginning(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open("book/shift.html")
        figure = reader.figure("drift")
        figure.root.locator('[name="speed"]').select_option("fast")
        figure.press("play")
        figure.wait_for("Number(node.dataset.step) > 260")
        figure.press("play")
        steps = figure.drawn("bn-loss", "x")
        assert steps[:2] == [1.5, 3.5]
        assert steps[-1] == pytest.approx(figure.step, abs=2)
        expected = losses(explorers.get("drift"), 60)["bn_loss"]
        merged = np.array(expected).reshape(-1, 2).mean(1)
        np.testing.assert_allclose(figure.drawn("bn-loss", "y")[:30], merged, atol=2e-4)


def test_divergence_is_said_and_reset_begins_again(browser, book_url):
    drift = explorers.get("drift")
    values = {"activation": "relu", "lr": 10.0, "scale": 4.0}
    first = next(
        k
        for k, loss in enumerate(losses(drift, 60, **values)["plain_loss"], 1)
        if not math.isfinite(loss)
    )
    with reading(browser, book_url) as reader:
        reader.open("book/shift.html#drift?activation=relu&lr=10&scale=4")
        figure = reader.figure("drift")
        assert figure.root.locator('[name="activation"]').input_value() == "relu"
        figure.press("play")
        figure.wait_for("node.querySelector('.bnviz-note').textContent.includes('diverged')")
        assert f"without BN diverged at step {first}:" in figure.note
        assert figure.root.locator('[name="play"]').text_content() == "Play"
        figure.press("reset")
        figure.wait_for("node.dataset.step === '0'")
        figure.press("step")
        figure.wait_for("node.dataset.step === '1'")
        assert figure.note == ""


def test_a_link_brings_the_picture_back_and_junk_in_it_is_clamped(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open("book/steps.html#scale-shift?gamma=99&beta=-1&eps=junk&nonsense=<b>")
        figure = reader.figure("scale-shift")
        _assert_drawn(figure, explorers.get("scale-shift"), {"gamma": 3.0, "beta": -1.0})


def test_the_keyboard_alone_moves_a_figure(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open("book/steps.html")
        figure = reader.figure("scale-shift")
        figure.root.locator('[name="reset"]').focus()
        for _ in range(2):
            reader.page.keyboard.press("Tab")
        assert reader.page.evaluate("document.activeElement.name") == "gamma"
        reader.page.keyboard.press("End")
        _assert_drawn(figure, explorers.get("scale-shift"), {"gamma": 3.0})


def test_a_missing_runtime_is_said_and_trying_again_works(browser, book_url):
    context = browser.new_context()
    page = context.new_page()
    page.route("**/*.wasm.gz", lambda route: route.abort())
    page.goto(f"{book_url}book/steps.html")
    figure = page.locator('figure[data-explorer="scale-shift"]')
    figure.scroll_into_view_if_needed()
    page.wait_for_selector('figure[data-state="failed"]')
    assert "cannot compute right now" in figure.locator(".bnviz-note").text_content()
    page.unroute("**/*.wasm.gz")
    figure.locator('button[name="retry"]').click()
    page.wait_for_selector('figure[data-state="live"]')
    context.close()


def test_without_javascript_the_first_drawing_and_a_sentence_remain(browser, book_url):
    with reading(browser, book_url, java_script_enabled=False) as reader:
        reader.open("book/steps.html")
        figure = reader.page.locator("figure.bnviz").first
        poster = figure.locator("img.bnviz-poster >> visible=true")
        assert poster.bounding_box()["width"] > 300
        assert "JavaScript" in figure.text_content()


@pytest.mark.parametrize("path", PAGES)
def test_a_phone_shows_the_whole_page_without_scrolling_sideways(browser, book_url, path):
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.goto(f"{book_url}book/{path}")
    page.locator("figure.bnviz").first.scroll_into_view_if_needed()
    page.wait_for_selector("figure.bnviz-ready")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_pages_without_a_figure_load_none_of_its_scripts(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open("search.html")
        scripts = reader.page.evaluate("[...document.scripts].map(s => s.src)")
        assert not [s for s in scripts if "bnviz" in s and "mathjax" not in s]


def test_the_figure_follows_the_page_into_the_dark(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open("book/steps.html")
        figure = reader.figure("scale-shift")
        reader.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        figure.wait_for(
            "node.querySelector('.bnviz-plot').layout.template.layout.font.color === '#d6dbe1'"
        )
