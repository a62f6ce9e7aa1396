// @ts-check
/**
 * A Simulation in the page: an Explorer whose picture moves step by step.
 *
 * It computes in a worker, which may end unasked: then a figure with a run in it has failed, one
 * without is static again. Its wishes, the most urgent first; `load` is as in `figure.js`:
 *
 *     wish    who has it                                       what is done
 *     start   Reset, a seed, a link, a control that shapes     step 0; what was under way
 *             the run, any other wish without a run            is dropped
 *     look    another control, while nothing plays             the state under the newest values
 *     step    Step, each time it is pressed                    one step
 *     play    Play, until Pause, a divergence or an error      steps by the clock, one picture a frame,
 *                                                              while somebody can see it
 */
import { element } from "./controls.js";
import { Explorer } from "./figure.js";
import { Run } from "./run.js";
import { ask, whenStopped } from "./runtime.js";
import { more } from "./tools.js";

const BUDGET = 12; // milliseconds of training for one frame
const MOST = 1024; // steps for one frame, when it goes as fast as it can

/** @returns {Promise<number>} when the next frame begins */
const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));
const NONE = { load: false, look: false, start: false, step: 0, play: false };

export class Simulation extends Explorer {
  /** @param {HTMLElement} node @param {import("./spec").SimulationSpec} spec @param {URL} base */
  constructor(node, spec, base) {
    super(node, spec, base);
    /** @type {import("./spec").SimulationSpec} */
    this.spec = spec;
    /** @type {{load: boolean, look: boolean, start: boolean, step: number, play: boolean}} */
    this.wishes = { ...NONE };
    /** @type {Run | null} none before the first start, and after an error */
    this.run = null;
    this.playButton = element("button", { type: "button", name: "play", className: "bnviz-primary" }, "Play");
    this.stepButton = element("button", { type: "button", name: "step" }, "Step");
    this.resetButton = element("button", { type: "button", name: "reset" }, "Reset");
    const { min, max, value } = spec.seed;
    const range = { min: String(min), max: String(max), value: String(value) };
    this.seed = element("input", { type: "number", name: "seed", ...range });
    const speeds = spec.speeds.map(({ name, label }) => element("option", { value: name }, label));
    this.speed = element("select", { name: "speed" }, ...speeds);
    this.speed.value = "normal";
    this.counter = element("output", { className: "bnviz-step" }, "");
    this.begun = false; // whether there ever was one; until then the first drawing is shown
    this.onScreen = true;
    this.extent = 0; // steps that the time axes reach to
    this.owed = 0; // steps, fractions too, that the clock asks for
    this.ticked = 0; // when it was last asked
    whenStopped((error) => {
      if (this.life === "live" && !this.doing) this.lost(error); // else the open question fails
    });
  }

  buttons() {
    this.playButton.addEventListener("click", () => (this.wishes.play ? this.pause() : this.play()));
    this.stepButton.addEventListener("click", () => this.single());
    this.resetButton.addEventListener("click", () => this.reset());
    this.seed.addEventListener("change", () => this.restart());
    return [this.playButton, this.stepButton, this.resetButton, this.counter, more(this)];
  }

  async draw() {
    await super.draw();
    this.node.dataset.step = "0";
    this.counter.textContent = "before the first step: guess, then press Play";
    new IntersectionObserver((entries) => {
      this.onScreen = entries[entries.length - 1].isIntersecting; // the newest
      this.work();
    }).observe(this.plot);
    document.addEventListener("visibilitychange", () => this.work());
  }

  build() {
    super.build();
    this.tools.classList.add("bnviz-transport"); // it stays on the screen
    this.controls.add("seed", this.seed);
    this.controls.add("speed", this.speed);
    this.node.addEventListener("keydown", (event) => this.key(event));
  }

  /** The space bar plays and pauses, where it has no meaning of its own. @param {KeyboardEvent} event */
  key(event) {
    const target = /** @type {Element} */ (event.target);
    const own = target.closest("button, select, summary, dialog, input:not([type=range])");
    if (event.key !== " " || own) return;
    event.preventDefault();
    this.playButton.click();
  }

  // --- what a reader does --------------------------------------------------------------------

  play() {
    this.reveal();
    this.playButton.textContent = "Pause";
    this.said.setAttribute("aria-live", "off"); // it would never stop talking
    this.ticked = 0;
    this.wish("play");
  }

  /** Who presses Play wants to see it: bring the picture onto the screen, with the controls if both fit. */
  reveal() {
    const picture = this.plot.getBoundingClientRect();
    const seen = Math.min(picture.bottom, innerHeight) - Math.max(picture.top, 0);
    if (seen >= Math.min(picture.height, innerHeight / 3)) return;
    const header = parseFloat(getComputedStyle(this.node).scrollMarginTop);
    const both = header + picture.top - this.heading.getBoundingClientRect().top;
    const aim = both <= (2 / 3) * innerHeight ? both : header + this.tools.offsetHeight;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    scrollBy({ top: picture.top - aim, behavior: still ? "instant" : "smooth" });
  }

  pause() {
    this.wishes.play = false;
    this.playButton.textContent = "Play";
    this.said.setAttribute("aria-live", "polite");
    this.say();
    if (this.run?.number) this.said.textContent = this.readout.textContent;
  }

  single() {
    this.pause();
    this.wish("step", this.wishes.step + 1);
  }

  reset() {
    this.pause();
    this.controls.reset();
    this.restart();
  }

  /** @param {URLSearchParams} query */
  restore(query) {
    this.controls.reset();
    for (const [name, value] of query) {
      if (name === "seed") this.seed.value = value;
      else this.controls.set(name, value);
    }
    this.restart();
  }

  /** @returns {[string, string][]} */
  state() {
    return [...super.state(), ["seed", String(this.seedNumber())]];
  }

  /** A whole number in range, whatever was typed. */
  seedNumber() {
    const { min, max } = this.spec.seed;
    const typed = Math.round(Number(this.seed.value));
    const seed = Number.isFinite(typed) ? Math.min(Math.max(typed, min), max) : min;
    this.seed.value = String(seed);
    return seed;
  }

  /** Step 0 with the controls as they are; of many calls at once, the last one counts. */
  restart() {
    this.wish("start");
  }

  /** @param {import("./controls.js").ControlSpec | null} control */
  moved(control) {
    if (control === null || control.restart || !this.run) this.restart();
    else this.wish("look");
  }

  // --- wishes --------------------------------------------------------------------------------

  next() {
    const { load, start, look, step, play } = this.wishes;
    const wanted = start || look || step || (play && this.watched);
    if (this.life !== "live") return load || wanted ? "load" : "";
    if (start || (wanted && !this.run)) return "start";
    if (look && !play) return "look";
    if (step) return "step";
    return play && this.watched ? "playOn" : "";
  }

  forget() {
    this.wishes = { ...NONE };
  }

  /** Whether somebody can see it. */
  get watched() {
    return this.onScreen && !document.hidden;
  }

  /** A simulation waits until somebody presses Play; after a failure it begins anew. */
  begin() {
    if (this.begun) this.wishes.start = true;
  }

  /** @param {Error} error */
  fail(error) {
    this.pause();
    this.run = null;
    super.fail(error);
  }

  /**
   * The worker has ended, and nobody asked it anything. Without a run the next wish starts another; a
   * run had its state there.
   * @param {Error} error
   */
  lost(error) {
    if (this.run) this.fail(new Error(`${error.message}, and the run is lost`));
    else this.mark("static", "");
  }

  /** To the worker. */
  async bring() {
    const { name, module } = this.spec;
    await ask("load", { figure: name, module, base: this.address("") });
  }

  async start() {
    this.wishes.start = false;
    this.wishes.look = false; // what the controls say until here, the start shows
    this.begun = true;
    const { rows, every } = this.spec;
    const outputs = await ask("start", { ...this.asked(), seed: this.seedNumber(), rows, every });
    if (this.wishes.start) return;
    const run = (this.run = new Run(this.spec));
    run.look(outputs);
    this.outputs = {};
    this.drawNow(outputs);
  }

  async look() {
    this.wishes.look = false;
    const outputs = await ask("look", this.asked());
    if (this.wishes.start || this.wishes.play) return; // what comes next shows more
    this.run?.look(outputs);
    this.drawNow(outputs);
  }

  async step() {
    this.wishes.step -= 1;
    if (!this.run?.over) await this.advance(1, 0);
  }

  /** What the clock asks for until now, as far as the frame's budget goes. */
  async playOn() {
    const shown = nextFrame();
    const steps = this.due();
    if (steps) await this.advance(steps, BUDGET);
    await shown;
  }

  /** Steps for this frame. A pause is not made up for, and rounding keeps the pace between frames. */
  due() {
    const rate = this.spec.speeds.find(({ name }) => name === this.speed.value)?.rate ?? null;
    if (rate === null) return MOST;
    const now = performance.now();
    const passed = this.ticked ? (rate * (now - this.ticked)) / 1000 : 1;
    this.ticked = now;
    this.owed = Math.min(this.owed + passed, 2);
    const steps = Math.round(this.owed);
    this.owed -= steps;
    return steps;
  }

  /**
   * Some steps with the controls as they are.
   * @param {number} steps @param {number} budget milliseconds
   */
  async advance(steps, budget) {
    const run = this.run;
    if (!run) return;
    this.wishes.look = false; // the steps show the newest values
    const wanted = { steps, budget, every: run.every, watch: run.finite };
    /** @type {import("./run.js").StepRecord[]} */
    const records = await ask("advance", { ...this.asked(), ...wanted });
    if (this.wishes.start) return;
    for (const record of records) if (run.take(record)) this.pause();
    this.drawNow(run.outputs);
  }

  /** What the worker must know of the controls. */
  asked() {
    const numbers = this.controls.numbers();
    const batch = numbers[this.spec.controls.findIndex(({ name }) => name === "batch")];
    return { figure: this.spec.name, controls: numbers, batch };
  }

  // --- the picture ---------------------------------------------------------------------------

  /** @param {import("./run.js").Outputs} outputs */
  drawNow(outputs) {
    this.apply(outputs);
    this.show();
    this.complain();
  }

  /** A divergence is said, and what is left to press. */
  complain() {
    const complaint = this.run?.complaint ?? "";
    if (this.note.textContent !== complaint) this.note.textContent = complaint;
    this.playButton.disabled = this.stepButton.disabled = this.run?.over ?? false;
  }

  /** Hand the histories to the traces, once a frame. */
  prepare() {
    const run = this.run;
    if (!run) return; // it has failed since this picture was asked for
    const numbers = this.controls.numbers();
    for (const [binding, history] of run.histories) {
      const data = this.trace(binding.trace);
      data.x = history.steps();
      data[binding.attribute] =
        binding.attribute === "z" ? history.image() : history.curve(run.place(binding, numbers));
    }
    this.stretch(run);
  }

  /** The time axes reach to the end of the finest history. @param {Run} run */
  stretch({ histories: kept }) {
    const histories = [...kept.values()];
    if (!histories.length) return;
    const finest = Math.min(...histories.map(({ every }) => every));
    const extent = Math.max(...histories.filter((h) => h.every === finest).map((h) => h.extent));
    if (extent === this.extent) return;
    this.extent = extent;
    const { layout } = this.plot;
    for (const { trace } of kept.keys()) {
      const axis = this.trace(trace).xaxis ?? "x";
      layout[axis.replace("x", "xaxis")].range = [0, extent];
    }
    this.react();
  }

  /** The step that is drawn, not one that waits for its frame. */
  counted() {
    if (this.run) {
      this.node.dataset.step = String(this.run.number);
      const step = `step ${this.run.number}`;
      if (this.counter.textContent !== step) this.counter.textContent = step;
    }
    super.counted();
  }
}
