// @ts-check
/**
 * An Explorer in the page: controls, first drawing, and a picture that follows the controls.
 *
 * Its life, as `data-state` says it:
 *
 *     state     event                         next
 *     static    near, touched, a wish         loading
 *     loading   everything has arrived        live
 *     loading   an error                      failed
 *     live      an error                      failed
 *     failed    "Try again", a wish           loading
 *
 * What is to be done are WISHES. `work` fulfils them one at a time, in the order of `next`, until none
 * is left; a wish that comes again while it waits is one wish, so the newest values win. `data-doing`
 * says which one is being fulfilled.
 *
 *     wish    who has it                                what is done
 *     load    a figure that is near, "Try again"        its functions arrive
 *     look    a moved control                           outputs for the newest values, a picture, in
 *                                                       the same frame
 */
import { Compiled } from "./compiled.js";
import { Controls, element, offerRetry } from "./controls.js";
import { fill } from "./format.js";
import { Painter, supports } from "./paint.js";
import { config, followWidth, plotly, templateNow } from "./plotly.js";
import { pick } from "./run.js";
import { more } from "./tools.js";

const REST = 180; // milliseconds without change until plotly draws again
const NONE = { load: false, look: false };

export class Explorer {
  /**
   * @param {HTMLElement} node @param {import("./spec").FigureSpec} spec
   * @param {URL} base address of the spec
   */
  constructor(node, spec, base) {
    this.node = node;
    this.spec = spec;
    /** @param {string} path */
    this.address = (path) => new URL(path, base).href;
    const { name, controls, caption, title, readout_first: first } = spec;
    this.controls = new Controls(name, controls, (control) => this.moved(control));
    this.heading = element("p", { className: "bnviz-title" }, this.titled(title));
    this.tools = element("div", { className: "bnviz-tools" });
    this.plot = element("div", { className: "bnviz-plot", role: "img" });
    this.plot.setAttribute("aria-label", `${title}. ${caption}`);
    this.sentence = first;
    this.readout = element("p", { className: "bnviz-readout" }, first);
    this.said = element("p", { className: "bnviz-said", ariaLive: "polite" }); // once things rest
    this.note = /** @type {HTMLElement} */ (node.querySelector(".bnviz-note"));
    this.built = false; // whether these stand in the page
    /** @type {any} plotly.js, once it has arrived */
    this.plotly = null;
    /** @type {Painter | null} */
    this.painter = null;
    /** @type {number | undefined} the requests of frames and timers that are under way */
    this.frame = undefined;
    /** @type {number | undefined} */
    this.writing = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.resting = undefined;
    this.stale = false; // whether the newest outputs are not drawn yet
    /** @type {import("./run.js").Outputs} newest value of every output */
    this.outputs = {};
    this.renders = 0;
    /** @type {Record<string, any>} */
    this.wishes = { ...NONE };
    this.doing = ""; // the wish that is being fulfilled
    this.traces = new Map(spec.figure.data.map((trace, k) => [trace.uid, k]));
    /** @type {Compiled | null} its functions, once they are there */
    this.compiled = null;
    this.attempt = 0; // what went wrong so far; copies that the browser kept are not used again
  }

  // --- the first drawing ---------------------------------------------------------------------

  /** Controls and the first drawing, whose numbers were computed when the book was built. */
  async draw() {
    if (!this.built) this.build();
    this.mark("static", "");
    this.plotly = await plotly(this.address(this.spec.urls.plotly));
    const { data, layout } = this.spec.figure;
    this.plot.style.height = `${layout.height}px`;
    await this.plotly.newPlot(this.plot, data, this.layout(layout), config);
    followWidth(this.plotly, this.plot);
    this.painter = new Painter(this.plot);
    this.node.querySelectorAll(".bnviz-poster").forEach((poster) => poster.remove());
    this.node.classList.add("bnviz-ready");
    this.counted();
  }

  build() {
    this.built = true;
    const given = JSON.parse(this.node.dataset.values ?? "{}");
    for (const [name, value] of Object.entries(given)) this.controls.set(name, value);
    this.note.textContent = "";
    this.note.setAttribute("role", "status");
    this.tools.append(...this.buttons());
    this.node.setAttribute("role", "group");
    this.node.setAttribute("aria-label", this.titled(this.spec.title));
    this.node.id ||= this.spec.name;
    this.plot.append(...this.node.querySelectorAll(".bnviz-poster"));
    this.node.prepend(this.heading, this.tools, this.controls.root, this.plot, this.readout, this.said, this.note);
    for (const event of ["pointerdown", "focusin"]) {
      this.node.addEventListener(event, () => {
        if (this.life === "static") this.wake();
      });
    }
  }

  /** With the figure's number, if it has one. @param {string} title */
  titled(title) {
    const { number } = this.node.dataset;
    return number ? `${number}. ${title}` : title;
  }

  buttons() {
    const reset = element("button", { type: "button", name: "reset" }, "Reset");
    reset.addEventListener("click", () => this.reset());
    return [reset, more(this)];
  }

  /** Back to the figure's own start values. */
  reset() {
    this.controls.reset();
    this.moved(null);
  }

  /** What a link needs to bring this picture back. @returns {[string, string][]} */
  state() {
    return this.controls.differing();
  }

  /** @param {URLSearchParams} query */
  restore(query) {
    this.controls.reset();
    for (const [name, value] of query) this.controls.set(name, value);
    this.moved(null);
  }

  // --- wishes --------------------------------------------------------------------------------

  /** @param {string} name @param {any} value */
  wish(name, value = true) {
    this.wishes[name] = value;
    this.work();
  }

  async work() {
    if (this.doing) return; // whoever works sees the new wish
    while ((this.doing = this.next())) {
      this.node.dataset.doing = this.doing;
      try {
        await /** @type {any} */ (this)[this.doing]();
      } catch (error) {
        this.fail(/** @type {Error} */ (error));
      }
    }
    this.node.dataset.doing = "";
  }

  /** The most urgent wish; "" when there is none. @returns {string} */
  next() {
    if (this.life !== "live") return this.wishes.load || this.wishes.look ? "load" : "";
    return this.wishes.look ? "look" : "";
  }

  /** What was wished for is not wished for any more. */
  forget() {
    this.wishes = { ...NONE };
  }

  get life() {
    return this.node.dataset.state;
  }

  // --- coming alive --------------------------------------------------------------------------

  /** Load the functions, once. */
  wake() {
    if (this.life !== "live") this.wish("load");
  }

  async load() {
    this.wishes.load = false;
    this.mark("loading", "Loading the program that computes this figure …");
    this.note.append(" ", element("progress", {}));
    await this.bring();
    this.wishes.load = false; // also those that came meanwhile
    this.mark("live", "");
    this.begin();
  }

  /** Fetch the functions to where they are needed: here, in the frame of the reader's event. */
  async bring() {
    this.compiled = await Compiled.load(this.spec.module, this.address, this.attempt);
  }

  /** The first computing: only needed when the controls no longer are where they began. */
  begin() {
    if (this.controls.differing().length) this.wishes.look = true;
  }

  /** Show what went wrong, keep the last picture, offer to try again. @param {Error} error */
  fail(error) {
    this.forget();
    this.attempt += 1;
    const text = `This figure cannot compute right now: ${error.message}. The picture is its last one. `;
    this.mark("failed", text);
    offerRetry(this.note, () => this.wake());
  }

  /** @param {"static" | "loading" | "live" | "failed"} state @param {string} text */
  mark(state, text) {
    this.node.dataset.state = state;
    this.note.textContent = text;
  }

  // --- following the controls ----------------------------------------------------------------

  /** A reader moved a control; null: several. @param {import("./controls.js").ControlSpec | null} _control */
  moved(_control) {
    this.wish("look");
  }

  look() {
    this.wishes.look = false;
    if (!this.compiled) return;
    this.apply(this.compiled.run("compute", { controls: this.controls.numbers() }));
    this.show();
  }

  /** Put outputs where the bindings say. @param {import("./run.js").Outputs} outputs */
  apply(outputs) {
    Object.assign(this.outputs, outputs);
    for (const { output, trace, attribute, index, append } of this.spec.bindings) {
      if (append || !(output in outputs)) continue;
      this.trace(trace)[attribute] = rows(outputs[output], index);
    }
  }

  /** What plotly draws for a uid. @param {string} uid */
  trace(uid) {
    return this.plot.data[this.traces.get(uid) ?? -1]; // a binding names a trace that is there
  }

  /** What is gathered between two frames; an Explorer gathers nothing. */
  prepare() {}

  /**
   * Draw cheaply, once a frame; plotly follows when things have come to rest. Drawn at once, a picture
   * is ready when the frame begins; what comes later within that frame is drawn with the next.
   */
  show() {
    clearTimeout(this.resting);
    this.stale = true;
    if (this.frame !== undefined) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = undefined;
      if (this.stale) this.show();
    });
    this.stale = false;
    this.prepare();
    if (supports(this.plot) && this.painter?.informed) this.painter.paint();
    else this.react();
    this.sentence = this.words();
    // after the frame with the picture: text is set anew by the whole page, which takes 3 ms
    this.writing ??= requestAnimationFrame(() =>
      setTimeout(() => {
        this.writing = undefined;
        this.say();
      }),
    );
    this.counted();
    // from here, not from the request: a frame may come late, and nothing may be painted after
    this.resting = setTimeout(() => this.rest(), REST);
  }

  /** One more drawn update, for those who watch from outside. */
  counted() {
    this.node.dataset.renders = String(this.renders++);
  }

  /** plotly draws everything, with hover and the template of the page. */
  async rest() {
    this.say();
    await this.react();
    this.painter?.clear();
    if (this.renders > 1) this.said.textContent = this.readout.textContent;
  }

  /** Another height for the drawing, in pixels. @param {number} height */
  resize(height) {
    this.plot.layout.height = height;
    this.plot.style.height = `${height}px`;
    return this.rest();
  }

  react() {
    return this.plotly.react(this.plot, this.plot.data, this.layout(this.plot.layout), config);
  }

  /** @param {Record<string, any>} layout */
  layout(layout) {
    return { ...layout, template: templateNow(this.spec.templates), autosize: true };
  }

  /** Write the sentence that belongs to the newest picture. */
  say() {
    if (this.readout.textContent !== this.sentence) this.readout.textContent = this.sentence;
  }

  /** The readout, in the words of the spec. */
  words() {
    const numbers = this.controls.numbers();
    /** @type {Record<string, number | Float32Array>} */
    const values = Object.fromEntries(this.spec.controls.map((c, k) => [c.name, numbers[k]]));
    for (const [name, { data }] of Object.entries(this.outputs)) values[name] = data;
    return fill(this.spec.readout, values);
  }
}

/**
 * The same as plotly wants it: a table as a list of its rows.
 * @param {import("./run.js").Output} output @param {number[]} index
 */
function rows(output, index) {
  const values = pick(output, index);
  if (output.dims.length - index.length < 2) return values;
  const width = output.dims[output.dims.length - 1];
  return Array.from({ length: values.length / width }, (_, i) =>
    values.subarray(i * width, (i + 1) * width),
  );
}
