"""The built book in a real browser: the figures compute there what PyTorch computes here."""

import inspect
import math
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from bnviz import explorers
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Simulation
from bnviz.maths.prng import Shuffler
from tests.drawn import assert_drawn
from tests.pages import FIGURES, PAGE
from tests.reader import AT_REST, reading

STILL = [n for n in explorers.names() if not isinstance(explorers.get(n), Simulation)]

steps, shift = pytest.mark.page("steps.html"), pytest.mark.page("shift.html")


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


def test_every_figure_has_its_place_in_a_chapter():
    assert set(PAGE) == set(explorers.names())


@pytest.mark.parametrize("path", FIGURES)
def test_every_page_comes_alive_without_an_error_or_another_host(reader, path):
    for name in FIGURES[path]:
        figure = reader.figure(name)
        assert figure.root.locator("figcaption").text_content()
        assert figure.readout


@pytest.mark.parametrize("name", STILL)
def test_every_control_at_both_ends_draws_what_pytorch_gives(reader, name):
    explorer = explorers.get(name)
    figure = reader.figure(name)
    for control, value in _ends(explorer):
        figure.press("reset")
        position = control.position(value) if isinstance(control, Slider) else value
        figure.move(control.name, position)
        assert_drawn(figure, explorer, {control.name: value})


@pytest.mark.parametrize("name", [n for n in explorers.names() if n not in STILL])
def test_every_control_at_both_ends_still_trains(reader, name):
    explorer = explorers.get(name)
    curves = [(b.output, b.trace) for b in explorer.bindings if b.output in explorer.watch]
    figure = reader.figure(name)
    for control, value in _ends(explorer):
        figure.press("reset")
        figure.wait_for("node.dataset.step === '0'")
        position = control.position(value) if isinstance(control, Slider) else value
        figure.move(control.name, position)
        said = {control.name: value}
        if isinstance(control, Slider) and control.switches_on:
            said[control.switches_on] = True
        if not curves:
            assert_drawn(figure, explorer, said)
        figure.press("step")
        figure.wait_for("node.dataset.step === '1'")
        first = losses(explorer, 1, **said)
        for output, trace in curves:
            drawn = figure.drawn(trace, "y")
            np.testing.assert_allclose(drawn, first[output], rtol=1e-4, err_msg=str(said))


def _ends(explorer):
    for control in explorer.controls:
        if isinstance(control, Slider):
            yield from ((control, control.min), (control, control.max))
        else:
            for value in getattr(control, "options", (True, False)):
                if value != control.value:
                    yield control, value


@steps
def test_a_slider_moved_quickly_ends_at_its_last_value(reader):
    figure = reader.figure("scale-shift")
    figure.evaluate(
        "(() => { const input = node.querySelector('[name=gamma]');"
        " for (let v = -3; v <= 2.5; v += 0.05) { input.value = v;"
        " input.dispatchEvent(new Event('input', {bubbles: true})); } })()"
    )
    assert_drawn(figure, explorers.get("scale-shift"), {"gamma": 2.5})


@steps
def test_a_frame_that_comes_late_leaves_the_stage_to_plotly(reader):
    figure, reader.spent = reader.figure("scale-shift"), True
    before = figure.renders
    # a wait of Playwright's would stand in the same queue
    reader.page.evaluate("() => { requestAnimationFrame = draw => setTimeout(draw, 600) }")
    figure.evaluate(
        "(() => { const input = node.querySelector('[name=gamma]'); input.value = 2;"
        " input.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    reader.page.wait_for_timeout(3_000)
    assert figure.root.locator("[name=gamma]").input_value() == "2"
    assert figure.renders > before
    assert figure.evaluate("node.querySelector('.bnviz-hot') === null")


# What lies at the middle of the button, once the picture is in the middle of the screen.
AT_HAND = """(() => {
  const middle = (what) => {
    const { left, top, width, height } = node.querySelector(what).getBoundingClientRect();
    return [left + width / 2, top + height / 2];
  };
  scrollBy({ top: middle(".bnviz-plot")[1] - innerHeight / 2, behavior: "instant" });
  return document.elementFromPoint(...middle("[name=play]"))?.name;
})()"""


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("name", [n for n in explorers.names() if n not in STILL])
def test_the_button_that_stops_a_training_is_at_hand(reader, name, width):
    reader.resize(width, 640)
    figure = reader.figure(name)
    reader.page.evaluate(AT_REST)
    assert figure.evaluate(AT_HAND) == "play"


@shift
def test_play_trains_and_its_losses_are_pythons(reader):
    expected = losses(explorers.get("drift"), 100)
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


@pytest.mark.page("whitening-and-drift.html")
def test_a_simulation_that_is_not_observed_plays_on(reader):
    expected = losses(explorers.get("ics"), 15)
    figure = reader.figure("ics")
    for number in range(1, 16):
        figure.press("step")
        figure.wait_for(f"node.dataset.step === '{number}'")
    for output, kept in expected.items():
        drawn = figure.drawn(output.replace("_", "-"), "y")
        np.testing.assert_allclose(drawn, kept, rtol=1e-3)


def test_choosing_a_unit_shows_another_part_of_the_same_run(browser, book_url):
    drift = explorers.get("drift")
    controls, rows, tracks = drift.tensors({}), Shuffler(drift.rows, 0), []
    state = drift.initial(torch.tensor(0.0), **controls)
    for _ in range(60):
        state, outputs = drift.step(state, rows.take(32), **controls)
        tracks.append(outputs["bn_track"][1])  # the medians, (layers, units)
    tracks = torch.stack(tracks).numpy()
    with reading(browser, book_url) as reader:
        reader.open("book/shift.html")
        figure = reader.figure("drift")
        figure.press("play")
        figure.wait_for("Number(node.dataset.step) >= 60")
        figure.press("play")
        figure.move("unit", 9)
        figure.rest()
        step, loss = figure.step, figure.drawn("bn-loss", "y")
        np.testing.assert_allclose(figure.drawn("bn-p50", "y")[:60], tracks[:, 4, 8], atol=2e-3)
        figure.move("layer", 2)
        figure.rest()
        assert figure.step == step
        assert figure.drawn("bn-loss", "y") == loss
        np.testing.assert_allclose(figure.drawn("bn-p50", "y")[:60], tracks[:, 1, 8], atol=2e-3)


@shift
def test_controls_act_while_it_trains_and_gamma_holds_every_layer(reader):
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


@shift
def test_a_run_longer_than_the_history_keeps_its_beginning(reader):
    figure = reader.figure("drift")
    figure.root.locator('[name="speed"]').select_option("fast")
    figure.press("play")
    figure.wait_for("Number(node.dataset.step) > 260")
    figure.press("play")
    figure.rest()  # a question to the worker may be open, of as many steps as fit into a frame
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
        assert_drawn(figure, explorers.get("scale-shift"), {"gamma": 3.0, "beta": -1.0})


@steps
def test_the_keyboard_alone_moves_a_figure(reader):
    figure = reader.figure("scale-shift")
    figure.root.locator('[name="reset"]').focus()
    for _ in range(3):  # the menu, the typed value, the slider
        reader.page.keyboard.press("Tab")
    assert reader.page.evaluate("document.activeElement.name") == "gamma"
    reader.page.keyboard.press("End")
    assert_drawn(figure, explorers.get("scale-shift"), {"gamma": 3.0})


@steps
def test_a_value_can_be_typed_and_nonsense_is_not_taken(reader):
    figure = reader.figure("scale-shift")
    field = figure.root.locator(".bnviz-value").first
    for typed, taken in (("2,5", 2.5), ("−99", -3.0), ("<b>", -3.0)):
        field.fill(typed)
        field.press("Enter")
        assert_drawn(figure, explorers.get("scale-shift"), {"gamma": taken})
        assert float(field.input_value()) == taken


@shift
def test_the_space_bar_plays_and_pauses(reader):
    figure = reader.figure("drift")
    figure.root.locator('input[type="range"]').first.focus()
    reader.page.keyboard.press("Space")
    figure.wait_for("Number(node.dataset.step) >= 2")
    reader.page.keyboard.press("Space")
    assert figure.root.locator('[name="play"]').text_content() == "Play"
    figure.root.locator(".bnviz-value").first.focus()
    reader.page.keyboard.press("Space")  # typed into the field
    assert figure.root.locator('[name="play"]').text_content() == "Play"


def test_the_readout_is_spoken_once_things_rest(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open("book/steps.html")
        figure = reader.figure("scale-shift")
        said = figure.root.locator(".bnviz-said")
        assert said.get_attribute("aria-live") == "polite"
        assert said.text_content() == ""
        figure.move("gamma", 2)
        figure.wait_for("node.querySelector('.bnviz-said').textContent !== ''")
        assert said.text_content() == figure.readout


@steps
def test_the_menu_saves_the_picture_and_shows_the_code(reader):
    figure = reader.figure("scale-shift")
    figure.root.locator("summary").click()
    with reader.page.expect_download() as download:
        figure.press("save")
    assert download.value.suggested_filename == "scale-shift.png"
    with Image.open(download.value.path()) as picture:
        width, height = picture.size
    box = figure.root.locator(".bnviz-plot").bounding_box()
    assert (width, height) == (2 * round(box["width"]), 2 * round(box["height"]))
    figure.press("code")
    listing = figure.root.locator("dialog .highlight")
    listing.wait_for()
    source = inspect.getsource(sys.modules[explorers.get("scale-shift").compute.__module__])
    assert listing.inner_text().strip() == source.strip()
    reader.page.keyboard.press("Escape")
    figure.root.locator("dialog").wait_for(state="detached")  # it closes in a task of its own


@steps
def test_full_screen_gives_the_drawing_the_room_and_takes_it_back(reader):
    figure = reader.figure("scale-shift")
    plot = figure.root.locator(".bnviz-plot")
    before = plot.bounding_box()
    figure.root.locator("summary").click()
    figure.press("fullscreen")
    figure.wait_for(f"node.querySelector('.bnviz-plot').offsetWidth > {before['width'] + 50}")
    reader.page.evaluate("document.exitFullscreen()")
    figure.wait_for(f"node.querySelector('.bnviz-plot').offsetHeight === {round(before['height'])}")


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


@pytest.mark.parametrize("path", FIGURES)
def test_a_phone_shows_the_whole_page_without_scrolling_sideways(reader, path):
    reader.figures()
    reader.resize(360, 740)
    # pictures of stored results follow a tenth of a second later
    narrow = "() => document.documentElement.scrollWidth <= 360"
    reader.page.wait_for_function(narrow, timeout=5_000)


def test_pages_without_a_figure_load_none_of_its_scripts(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open("search.html")
        scripts = reader.page.evaluate("[...document.scripts].map(s => s.src)")
        everywhere = ("mathjax", "paper.js", "buttons.js")  # formulas, printing, buttons
        assert not [s for s in scripts if "bnviz" in s and not any(e in s for e in everywhere)]


@steps
def test_the_figure_follows_the_page_into_the_dark(reader):
    reader.figure("scale-shift")
    reader.show("dark")


OTHER_BATCH = """async ([base, node]) => {
  const { Compiled } = await import(new URL("compiled.js", base).href);
  const place = new URL(node.dataset.spec, document.baseURI);
  const spec = await (await fetch(place)).json();
  const { module } = spec;
  const compiled = await Compiled.load(module, (path) => new URL(path, place).href, 0);
  const [least, most] = module.batches;
  return [0, least - 1, most + 1].map((batch) => {
    try {
      compiled.run("step", { rows: new Int32Array(batch) });
    } catch (error) {
      return error.message;
    }
  });
}"""


@pytest.mark.parametrize("name", ["drift"])
def test_a_module_takes_no_minibatch_that_the_slider_cannot_give(reader, name):
    node = reader.figure(name).root.element_handle()
    batch = next(c for c in explorers.get(name).controls if c.name == "batch")
    least, most = int(batch.min), int(batch.max)
    assert reader.page.evaluate(OTHER_BATCH, [reader.script, node]) == [
        f"a minibatch of {size}; this figure takes {least} to {most}"
        for size in (0, least - 1, most + 1)
    ]
