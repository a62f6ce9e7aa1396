// @ts-check
/** A Simulation in the page: an Explorer whose picture moves step by step. */
import { element } from "./controls.js";
import { Explorer, pick } from "./figure.js";
import { History } from "./history.js";
import { ask } from "./runtime.js";
import { more } from "./tools.js";

const BUDGET = 12; // milliseconds of training for one frame
const SPEEDS = {
  slow: { label: "5 steps a second", steps: 1, pause: 200 },
  normal: { label: "a step a frame", steps: 1, pause: 0 },
  fast: { label: "as fast as it goes", steps: 64, pause: 0 },
};

export class Simulation extends Explorer {
  constructor(node, spec, base) {
    super(node, spec, base);
    this.playing = false;
    this.visible = true;
    this.number = 0; // steps done
    this.run = 0; // counts restarts, so that late answers of an old run are dropped
    this.diverged = new Set();
    this.began = false;
  }

  buttons() {
    const button = (name, text, click) => {
      const node = element("button", { type: "button", name }, text);
      node.addEventListener("click", click);
      return node;
    };
    this.playButton = button("play", "Play", () => (this.playing ? this.pause() : this.play()));
    this.playButton.classList.add("bnviz-primary");
    this.seed = element("input", { type: "number", name: "seed", min: "0", max: "9999", value: "0" });
    this.seed.addEventListener("change", () => this.restart());
    const speeds = Object.entries(SPEEDS).map(([value, { label }]) => element("option", { value }, label));
    this.speed = element("select", { name: "speed" }, ...speeds);
    this.speed.value = "normal";
    this.counter = element("output", { className: "bnviz-step" }, "");
    return [
      this.playButton,
      button("step", "Step", () => this.single()),
      button("reset", "Reset", () => this.reset()),
      this.counter,
      more(this),
    ];
  }

  async draw() {
    await super.draw();
    this.node.dataset.step = "0";
    this.counter.textContent = `a first run of ${this.spec.preview} steps, press Play for your own`;
    new IntersectionObserver((entries) => {
      this.visible = entries[entries.length - 1].isIntersecting; // the newest
      this.go();
    }).observe(this.plot);
    document.addEventListener("visibilitychange", () => this.go());
  }

  build() {
    super.build();
    this.tools.classList.add("bnviz-transport"); // it stays on the screen
    this.controls.add("seed", this.seed);
    this.controls.add("speed", this.speed);
    this.node.addEventListener("keydown", (event) => this.key(event));
  }

  /** The space bar plays and pauses, where it has no meaning of its own. */
  key(event) {
    const own = event.target.closest("button, select, summary, dialog, input:not([type=range])");
    if (event.key !== " " || own) return;
    event.preventDefault();
    this.playButton.click();
  }

  // --- a run ---------------------------------------------------------------------------------

  /** A simulation waits until somebody presses Play; after a failure it begins anew. */
  async begin() {
    if (this.began) this.restart();
  }

  fail(error) {
    this.pause();
    super.fail(error);
  }

  /** The state of the network was in the worker. */
  lost(error) {
    if (this.began) this.fail(new Error(`${error.message}, and the run is lost`));
    else super.lost(error);
  }

  /** A whole number in range, whatever was typed. */
  seedNumber() {
    const typed = Math.round(Number(this.seed.value));
    const seed = Number.isFinite(typed) ? Math.min(Math.max(typed, 0), 9999) : 0;
    this.seed.value = String(seed);
    return seed;
  }

  value(name) {
    return this.controls.value(this.spec.controls.find((c) => c.name === name));
  }

  details() {
    return {
      figure: this.spec.name,
      controls: this.controls.numbers(),
      batch: this.value("batch"),
    };
  }

  /**
   * Back to step 0 with the controls as they are, then some steps ahead; of many calls at once, the
   * last one counts.
   */
  restart(ahead = 0) {
    this.run += 1;
    this.ahead = ahead;
    this.began = true;
    this.starting ??= this.startNewest().finally(() => {
      this.starting = null;
      if (this.wanted && this.node.dataset.state === "live" && !this.playing) this.peek();
    });
    return this.starting;
  }

  async startNewest() {
    await this.wake();
    let run = -1;
    while (run !== this.run && this.node.dataset.state === "live") {
      run = this.run;
      await this.start(run);
    }
  }

  async start(run) {
    const { history, every, rows, bindings, observed } = this.spec;
    const coarse = Math.max(2, 2 * Math.floor(history / every / 2));
    try {
      this.wanted = null; // what the controls say until here, the start shows
      const outputs = await ask("start", { ...this.details(), seed: this.seedNumber(), rows });
      if (run !== this.run || this.node.dataset.state !== "live") return;
      this.number = 0;
      this.diverged.clear();
      this.note.textContent = "";
      this.outputs = {};
      this.histories = new Map(
        bindings
          .filter(({ append }) => append)
          .map((b) => [b, observed.includes(b.output) ? new History(coarse, every) : new History(history)]),
      );
      this.apply(outputs);
      this.show();
    } catch (error) {
      this.fail(error);
    }
    while (run === this.run && this.number < this.ahead && this.node.dataset.state === "live") {
      await this.advance(this.ahead - this.number, 4 * BUDGET);
      if (this.diverged.size) break;
    }
  }

  reset() {
    this.pause();
    this.controls.reset();
    this.restart();
  }

  restore(query) {
    this.controls.reset();
    for (const [name, value] of query) {
      if (name === "seed") this.seed.value = value;
      else this.controls.set(name, value);
    }
    this.restart();
  }

  state() {
    return [...super.state(), ["seed", String(this.seedNumber())]];
  }

  moved(control) {
    if (control === null || control.restart) this.restart();
    else if (!this.began || this.node.dataset.state === "failed") this.restart(this.chooses(control) ? this.spec.preview : 0);
    else if (!this.playing) this.peek();
  }

  /** Does a control only choose what is shown of a run? Then the first picture's run goes on. */
  chooses({ name }) {
    return this.spec.bindings.some(({ by }) => by.includes(name));
  }

  /** While nothing runs, show the state under the newest controls. */
  async peek() {
    this.wanted = this.controls.numbers();
    if (this.busy || this.starting) return; // there is no run to look at before it has started
    this.busy = true;
    const run = this.run;
    try {
      while (this.wanted) {
        this.wanted = null;
        const outputs = await ask("peek", this.details());
        if (run !== this.run || this.playing) break;
        this.apply(outputs);
        this.show();
      }
    } catch (error) {
      this.fail(error);
    }
    this.busy = false;
  }

  // --- the loop ------------------------------------------------------------------------------

  async play() {
    this.playing = true;
    this.reveal();
    this.playButton.textContent = "Pause";
    this.said.setAttribute("aria-live", "off"); // it would never stop talking
    await this.ready();
    if (this.node.dataset.state === "live") this.go();
    else this.pause();
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
    this.playing = false;
    this.playButton.textContent = "Play";
    this.said.setAttribute("aria-live", "polite");
    this.say();
    if (this.number) this.said.textContent = this.readout.textContent;
  }

  async single() {
    this.pause();
    await this.ready();
    if (this.node.dataset.state === "live") await this.advance(1, 0);
  }

  /** A run that can go on: the one there is, or another after a failure. */
  ready() {
    return this.began && this.node.dataset.state === "live" ? this.starting : this.restart();
  }

  /** Keep stepping while somebody watches. */
  async go() {
    if (this.looping) return;
    this.looping = true;
    while (this.playing && this.visible && !document.hidden && this.node.dataset.state === "live") {
      if (this.starting) {
        await this.starting;
        continue;
      }
      const { steps, pause } = SPEEDS[this.speed.value] ?? SPEEDS.normal;
      const shown = new Promise((resolve) => requestAnimationFrame(resolve));
      await this.advance(steps, BUDGET);
      await (pause ? new Promise((resolve) => setTimeout(resolve, pause)) : shown);
    }
    this.looping = false;
  }

  async advance(steps, budget) {
    const run = this.run;
    try {
      const { every, watch } = this.spec;
      const names = Object.keys(watch).filter((name) => !this.diverged.has(name));
      const asked = { ...this.details(), steps, budget, every, watch: names };
      const records = await ask("advance", asked);
      if (run === this.run) records.forEach((record) => this.take(record));
      if (run === this.run) this.show();
    } catch (error) {
      this.fail(error);
    }
  }

  /** One step's outputs. */
  take({ number, outputs, observed }) {
    this.number = number;
    this.apply(outputs);
    this.remember(outputs);
    if (observed) {
      this.apply(observed);
      this.remember(observed);
    }
    for (const [name, called] of Object.entries(this.spec.watch)) {
      if (this.diverged.has(name) || outputs[name].data.every(Number.isFinite)) continue;
      this.diverged.add(name);
      this.pause();
      const rest = Object.keys(this.spec.watch).length > this.diverged.size;
      this.note.textContent =
        `${called} diverged at step ${number}: its numbers are no longer finite. ` +
        (rest ? "Play goes on with the rest; " : "") +
        "Reset begins again, best with a smaller learning rate or initial scale.";
    }
  }

  /** Append to the histories. */
  remember(outputs) {
    for (const [binding, history] of this.histories) {
      if (binding.output in outputs) history.append(pick(outputs[binding.output], binding.index));
    }
  }

  /** Which element of its values a binding draws, counted along the flattened array. */
  place({ output, index, by }) {
    const dims = (this.outputs[output]?.dims ?? []).slice(index.length);
    const numbers = this.controls.numbers();
    return by.reduce((at, name, axis) => {
      const k = this.spec.controls.findIndex((c) => c.name === name);
      return at * (dims[axis] ?? 1) + Math.round(numbers[k] - (this.spec.controls[k].min ?? 0));
    }, 0);
  }

  /** Hand the histories to the traces, once a frame. */
  prepare() {
    for (const [binding, history] of this.histories) {
      const data = this.plot.data[this.traces.get(binding.trace)];
      data.x = history.steps();
      data[binding.attribute] = binding.attribute === "z" ? history.image() : history.curve(this.place(binding));
    }
    const [first] = this.histories.values();
    if (first.extent !== this.extent) this.stretch();
  }

  /** The time axes reach to the end of the histories. */
  stretch() {
    const [first] = this.histories.values();
    this.extent = first.extent;
    const { layout } = this.plot;
    for (const { trace } of this.histories.keys()) {
      const axis = this.plot.data[this.traces.get(trace)].xaxis ?? "x";
      layout[axis.replace("x", "xaxis")].range = [0, this.extent];
    }
    this.react();
  }

  /** The step that is drawn, not one that waits for its frame. */
  counted() {
    this.node.dataset.step = String(this.number);
    const step = `step ${this.number}`;
    if (this.counter.textContent !== step) this.counter.textContent = step;
    super.counted();
  }
}
