// @ts-check
/**
 * One run of a Simulation: the twin of `bnviz/figure/run.py`, whose table of events holds here too.
 * It knows no page and no worker, and has two halves: `Steps` stands where the functions are,
 * `Run` where the picture is. What travels between them is a record of each step.
 */
import { History } from "./history.js";
import { Shuffler } from "./prng.js";

/**
 * @typedef {{data: Float32Array, dims: readonly number[]}} Output
 * @typedef {Record<string, Output>} Outputs
 * @typedef {{number: number, outputs: Outputs}} StepRecord
 * @typedef {import("./spec").BindingSpec} Binding
 * @typedef {{
 *   initial: (seed: number, controls: number[]) => void,
 *   step: (rows: number[], controls: number[]) => void,
 *   outputs: (only?: string[]) => Outputs,
 *   keep: () => void,
 *   observe: null | ((controls: number[]) => Outputs),
 * }} Functions which hold the state: `initial` makes it anew, a step leaves it as it is until `keep`
 * puts the next one in its place; `outputs` are those of the newest step
 */

/** State and minibatches of a run. */
export class Steps {
  /** @param {Functions} functions @param {Shuffler} shuffler @param {number} every */
  constructor(functions, shuffler, every) {
    this.functions = functions;
    this.shuffler = shuffler;
    this.every = every;
    this.number = 0;
  }

  /**
   * Step 0. @param {Functions} functions @param {{rows: number, every: number}} spec
   * @param {number} seed @param {number[]} controls
   */
  static begin(functions, { rows, every }, seed, controls) {
    functions.initial(seed, controls);
    return new Steps(functions, new Shuffler(rows, seed), every);
  }

  /**
   * Outputs of the next step, which is not taken, and what the state looks like under these controls.
   * @param {number[]} controls @param {number} batch @returns {Outputs}
   */
  look(controls, batch) {
    const rows = this.shuffler.copy().take(batch);
    this.functions.step(rows, controls);
    return { ...this.functions.outputs(), ...this.functions.observe?.(controls) };
  }

  /**
   * One step.
   * @param {number[]} controls @param {number} batch @param {string[]} only outputs that the record
   * shall hold, besides those of `observe`
   * @returns {StepRecord}
   */
  step(controls, batch, only) {
    const shuffler = this.shuffler.copy();
    const rows = shuffler.take(batch);
    this.functions.step(rows, controls);
    let outputs = this.functions.outputs(only);
    this.functions.keep();
    this.shuffler = shuffler;
    this.number += 1;
    if (this.number % this.every === 0) outputs = { ...outputs, ...this.functions.observe?.(controls) };
    return { number: this.number, outputs };
  }

  /** All outputs of the step that was just taken. @returns {Outputs} */
  newest() {
    return this.functions.outputs();
  }
}

/** What a reader sees of a run. */
export class Run {
  /** @param {import("./spec").SimulationSpec} spec */
  constructor(spec) {
    this.spec = spec;
    this.number = 0;
    /** @type {Outputs} newest value of every output */
    this.outputs = {};
    /** @type {Map<string, number>} what has left the finite numbers -> the step at which it did */
    this.diverged = new Map();
    const { history, every, observed } = spec;
    const fewer = Math.max(2, 2 * Math.floor(history / every / 2)); // even, over about the same steps
    /** @type {Map<Binding, History>} what the appended bindings have collected */
    this.histories = new Map();
    for (const binding of spec.bindings) {
      if (!binding.append) continue;
      const seldom = observed.includes(binding.output);
      this.histories.set(binding, seldom ? new History(fewer, every) : new History(history));
    }
  }

  /** @param {Outputs} outputs of a look */
  look(outputs) {
    Object.assign(this.outputs, outputs);
  }

  /** The outputs of a step. @param {StepRecord} record @returns {boolean} whether something diverged */
  take({ number, outputs }) {
    this.number = number;
    Object.assign(this.outputs, outputs);
    for (const [binding, history] of this.histories) {
      if (binding.output in outputs) history.append(pick(outputs[binding.output], binding.index));
    }
    const left = this.finite.filter((name) => !outputs[name].data.every(Number.isFinite));
    for (const name of left) this.diverged.set(this.spec.watch[name], number);
    return left.length > 0;
  }

  /** Outputs of which every step counts; of the others, only the newest is seen. @returns {string[]} */
  get every() {
    const appended = [...this.histories.keys()].map(({ output }) => output);
    const { observed } = this.spec;
    return [...new Set([...appended, ...this.finite])].filter((name) => !observed.includes(name));
  }

  /** Outputs that are watched and have not diverged. @returns {string[]} */
  get finite() {
    return Object.keys(this.spec.watch).filter((name) => !this.diverged.has(this.spec.watch[name]));
  }

  /** Whether everything that is watched has diverged. @returns {boolean} */
  get over() {
    return this.diverged.size > 0 && this.finite.length === 0;
  }

  /** What a reader is told of a divergence; "" while all is finite. @returns {string} */
  get complaint() {
    if (!this.diverged.size) return "";
    const what = [...this.diverged].map(([who, n]) => `${who} diverged at step ${n}`).join(", ");
    const rest = this.over ? "" : "Play goes on with the rest. ";
    return `${what}: the numbers are no longer finite. ${rest}Reset begins again.`;
  }

  /**
   * Which element of its values a binding draws, counted along the flattened array.
   * @param {Binding} binding @param {number[]} numbers of the controls
   */
  place({ output, index, by }, numbers) {
    const dims = (this.outputs[output]?.dims ?? []).slice(index.length);
    return by.reduce((at, name, axis) => {
      const k = this.spec.controls.findIndex((control) => control.name === name);
      const control = this.spec.controls[k];
      const first = control.kind === "slider" ? control.min : 0;
      return at * (dims[axis] ?? 1) + Math.round(numbers[k] - first);
    }, 0);
  }
}

/**
 * The part of an output that an index picks from its first axes.
 * @param {Output} output @param {number[]} index @returns {Float32Array}
 */
export function pick({ data, dims }, index) {
  let [from, size] = [0, data.length];
  index.forEach((i, axis) => {
    size /= dims[axis];
    from += i * size;
  });
  return data.subarray(from, from + size);
}
