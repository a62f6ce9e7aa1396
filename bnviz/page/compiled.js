// @ts-check
/**
 * The functions of a figure as WebAssembly: PyTorch's own, compiled when the book was built. Their
 * numbers go in and out at fixed places of the module's memory, which the figure's description names.
 */
import { getBytes } from "./fetching.js";

/**
 * @typedef {import("./run.js").Outputs} Outputs
 * @typedef {import("./spec").ArraySpec} ArraySpec
 * @typedef {import("./spec").ModuleSpec} ModuleSpec
 */

const NEXT = "next_state";
const KINDS = { float: Float32Array, double: Float64Array, int32_t: Int32Array, uint8_t: Uint8Array };

/** A module with one SIMD instruction; where not even an empty one compiles, WebAssembly is blocked. */
const EMPTY = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const SIMD = [...EMPTY, 1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0, 10, 10, 1, 8, 0, 0x41, 0, 0xfd, 15, 0xfd, 98, 11];

/** @throws {Error} what the browser lacks, and what to do */
function needWebAssembly() {
  try {
    new WebAssembly.Module(Uint8Array.from(EMPTY));
  } catch {
    throw new Error("WebAssembly is blocked; allow it for this site or use another browser");
  }
  if (!WebAssembly.validate(Uint8Array.from(SIMD))) {
    throw new Error("this browser's WebAssembly has no SIMD; use a newer browser");
  }
}

export class Compiled {
  /** @param {ModuleSpec} spec @param {WebAssembly.Instance} instance */
  constructor(spec, instance) {
    this.functions = spec.functions;
    this.batches = spec.batches;
    this.exports = /** @type {Record<string, any>} */ (instance.exports);
    this.begin = this.exports.memory_begins.value;
    this.batch = 0; // of the last call that had one: its outputs may be read after others
  }

  /**
   * Fetch a module and its data, and make it ready.
   * @param {ModuleSpec} spec @param {(path: string) => string} address of a path of the description
   * @param {number} attempt above 0 the browser's own copies are not trusted
   * @throws {Error} a sentence without its full stop: what happened, what to do
   */
  static async load(spec, address, attempt) {
    needWebAssembly();
    const files = [...new Set(spec.data.map(({ url }) => url))];
    const [bytes, ...numbers] = await Promise.all(
      [spec.url, ...files].map((path) => getBytes(address(path), attempt)),
    );
    const name = spec.url.split("/").pop();
    /** @type {Compiled} */
    let compiled;
    try {
      const { instance } = await WebAssembly.instantiate(bytes, {});
      compiled = new Compiled(spec, instance);
      compiled.exports._initialize?.();
    } catch (error) {
      throw new Error(`${name} did not arrive whole, or does not run in this browser`, { cause: error });
    }
    for (const { url, from, at, bytes: length } of spec.data) {
      const target = new Uint8Array(compiled.exports.memory.buffer, compiled.begin + at, length);
      target.set(new Uint8Array(numbers[files.indexOf(url)], from, length));
    }
    return compiled;
  }

  /**
   * Call a function and copy its outputs.
   * @param {string} name @param {Record<string, ArrayLike<number>>} inputs @returns {Outputs}
   */
  run(name, inputs) {
    this.call(name, inputs);
    return this.outputs(name);
  }

  /**
   * Call a function; its outputs lie in the module's memory until it is called again.
   * @param {string} name @param {Record<string, ArrayLike<number>>} inputs all but `state`, which is
   * where `keep` has put it
   */
  call(name, inputs) {
    const places = this.functions[name].inputs;
    const batch = inputs.rows?.length ?? 0;
    const [least, most] = this.batches;
    if ("rows" in places && !(batch >= least && batch <= most)) {
      throw new Error(`a minibatch of ${batch}; this figure takes ${least} to ${most}`);
    }
    for (const key of Object.keys(inputs)) this.numbers(places[key], batch).data.set(inputs[key]);
    this.exports[name](batch);
    if ("rows" in places) this.batch = batch;
  }

  /**
   * Outputs of a function that was called, copied out; a `next_state` stays.
   * @param {string} name @param {string[]} only all, if none are named @returns {Outputs}
   */
  outputs(name, only = Object.keys(this.functions[name].outputs)) {
    /** @type {Outputs} */
    const found = {};
    for (const key of only) {
      if (key === NEXT) continue;
      const { data, dims } = this.numbers(this.functions[name].outputs[key], this.batch);
      found[key] = { data: data.slice(), dims };
    }
    return found;
  }

  /**
   * The `next_state` of a function becomes the `state` that others begin with. It never leaves the
   * module: some 100 kB, copied out and in again, would take longer than a step.
   * @param {string} name
   */
  keep(name) {
    const from = this.numbers(this.functions[name].outputs[NEXT], 0).data;
    this.numbers(this.functions.step.inputs.state, 0).data.set(from);
  }

  /**
   * An array where it lies.
   * @param {ArraySpec} array @param {number} batch
   * @returns {{data: any, dims: number[]}} outputs are Float32Array
   */
  numbers({ at, format, shape }, batch) {
    const dims = shape.map((axis) => axis.reduceRight((sum, c) => sum * batch + c, 0));
    const length = dims.reduce((n, axis) => n * axis, 1);
    const Kind = KINDS[format];
    return { data: new Kind(this.exports.memory.buffer, this.begin + at, length), dims };
  }
}
