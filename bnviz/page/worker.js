// @ts-check
/**
 * The worker of a page, for all its trainings, so that a step never holds up the page. Nothing here
 * knows a figure; it runs functions and keeps the state of simulations.
 *
 * A request is {id, op, ...}; the answer {id, result} or {id, error}. An error that leaves nothing to
 * build on is `fatal`: only another worker can do better. {op: "ping"} is answered at once, with {}.
 */
import { Compiled } from "./compiled.js";
import { Steps } from "./run.js";

/** @type {Map<string, Compiled>} by figure */
const modules = new Map();
/** @type {Map<string, Steps>} by figure */
const runs = new Map();

/**
 * @typedef {{figure: string, controls: number[], batch: number}} Asked numbers of all controls; "batch"
 * is one of them
 */

/** @type {Record<string, (asked: any) => any>} */
const operations = {
  /**
   * Load the functions of a figure.
   * @param {{figure: string, module: import("./spec").ModuleSpec, base: string, attempt: number}} asked
   */
  async load({ figure, module, base, attempt }) {
    if (modules.has(figure)) return;
    modules.set(figure, await Compiled.load(module, (path) => new URL(path, base).href, attempt));
  },

  /**
   * Begin a Simulation; the answer shows step 0.
   * @param {Asked & {seed: number, rows: number, every: number}} asked
   */
  start({ figure, controls, seed, rows, every, batch }) {
    const steps = Steps.begin(functionsOf(figure), { rows, every }, seed, controls);
    runs.set(figure, steps);
    return steps.look(controls, batch);
  },

  /** What a run shows under these controls; it stays where it is. @param {Asked} asked */
  look({ figure, controls, batch }) {
    return runOf(figure).look(controls, batch);
  },

  /**
   * Up to `steps` steps, but no more than fit in `budget` milliseconds; at least one. The last record
   * is complete, the others hold the outputs named in `every`.
   * @param {Asked & {steps: number, budget: number, every: string[], watch: string[]}} asked
   */
  advance({ figure, controls, batch, steps, budget, every, watch }) {
    const end = performance.now() + budget;
    const run = runOf(figure);
    const done = [];
    /** @type {import("./run.js").StepRecord} */
    let record;
    do {
      record = run.step(controls, batch, every);
      done.push(record);
      if (watch.some((name) => !record.outputs[name].data.every(Number.isFinite))) break;
    } while (done.length < steps && performance.now() < end);
    Object.assign(record.outputs, run.newest());
    return done;
  },
};

/** @param {string} figure @returns {Steps} */
function runOf(figure) {
  const steps = runs.get(figure);
  if (!steps) throw new Error("this run is lost; Reset begins another");
  return steps;
}

/**
 * The functions of a Simulation as `run.js` calls them.
 * @param {string} figure @returns {import("./run.js").Functions}
 */
function functionsOf(figure) {
  const module = modules.get(figure);
  if (!module) throw new Error("this run is lost; Reset begins another");
  return {
    initial(seed, controls) {
      module.run("initial", { seed: [seed], controls });
      module.keep("initial");
    },
    step: (rows, controls) => module.call("step", { rows, controls }),
    outputs: (only) => module.outputs("step", only),
    keep: () => module.keep("step"),
    observe: module.functions.observe ? (controls) => module.run("observe", { controls }) : null,
  };
}

let queue = Promise.resolve();
self.onmessage = ({ data }) => {
  if (data.op === "ping") {
    self.postMessage({});
    return;
  }
  queue = queue.then(async () => {
    try {
      const result = await operations[data.op](data);
      self.postMessage({ id: data.id, result });
    } catch (error) {
      const fatal = data.op !== "load" || !modules.size;
      self.postMessage({ id: data.id, error: String(error instanceof Error ? error.message : error), fatal });
    }
  });
};
