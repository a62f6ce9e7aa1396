// @ts-check
/**
 * The worker of a page: one onnxruntime for all its figures. Nothing here knows a figure; it runs
 * graphs and keeps the state of simulations.
 *
 * A request is {id, op, ...}; the answer {id, result} or {id, error}; on the way {progress}. An error
 * that leaves nothing to build on is `fatal`: only another worker can do better. {op: "ping"} is
 * answered at once, with {}.
 */
import { anew, getBytes } from "./fetching.js";
import { Steps } from "./run.js";

/** @type {any} onnxruntime-web, which has no types here */
let ort = null;
/** @type {Map<string, any>} sessions by "figure/graph" */
const sessions = new Map();
/** @type {Map<string, Steps>} by figure */
const runs = new Map();

/** An empty module: where WebAssembly is blocked, not even this compiles. */
const EMPTY = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

function needWebAssembly() {
  try {
    new WebAssembly.Module(EMPTY);
  } catch {
    throw new Error("WebAssembly is blocked; allow it for this site or use another browser");
  }
}

/** @param {string} url */
async function bring(url) {
  try {
    return await import(url);
  } catch {
    throw new Error("onnxruntime-web could not be loaded; check the connection to the network");
  }
}

/** @param {string} url @param {ArrayBuffer | Uint8Array} bytes */
async function session(url, bytes) {
  try {
    return await ort.InferenceSession.create(new Uint8Array(bytes));
  } catch (error) {
    const started = !String(error).includes("backend");
    const name = started ? url.split("/").pop() : "onnxruntime-web";
    throw new Error(`${name} did not arrive whole, or does not run in this browser`, { cause: error });
  }
}

/**
 * @typedef {{figure: string, controls: number[], batch: number}} Asked numbers of all controls; "batch"
 * is one of them, where there are minibatches
 */

/** @type {Record<string, (asked: any) => Promise<any>>} */
const operations = {
  /**
   * Load onnxruntime-web: {ort, loader, wasm} are addresses; which attempt it is.
   * @param {{urls: Record<string, string>, attempt: number}} asked
   */
  async runtime({ urls, attempt }) {
    if (ort) return;
    needWebAssembly();
    /** @param {number} loaded @param {number} total */
    const post = (loaded, total) => self.postMessage({ progress: { loaded, total } });
    const [module, binary] = await Promise.all([
      bring(anew(urls.ort, attempt)),
      getBytes(urls.wasm, attempt, post),
    ]);
    module.env.wasm.numThreads = 1;
    module.env.wasm.wasmPaths = { mjs: anew(urls.loader, attempt) };
    module.env.wasm.wasmBinary = binary;
    module.env.logLevel = "error";
    ort = module;
  },

  /**
   * Load the graphs of a figure: {name: address}.
   * @param {{figure: string, graphs: Record<string, string>, attempt: number}} asked
   */
  async load({ figure, graphs, attempt }) {
    await Promise.all(
      Object.entries(graphs).map(async ([name, url]) => {
        const key = `${figure}/${name}`;
        if (!sessions.has(key)) {
          sessions.set(key, await session(url, await getBytes(url, attempt)));
        }
      }),
    );
  },

  /** Outputs of an Explorer. @param {Asked} asked */
  async compute({ figure, controls }) {
    return posted(await run(figure, "compute", { controls: vector(controls) }));
  },

  /**
   * Begin a Simulation; the answer shows step 0.
   * @param {Asked & {seed: number, rows: number, every: number}} asked
   */
  async start({ figure, controls, seed, rows, every, batch }) {
    const steps = await Steps.begin(functionsOf(figure), { rows, every }, seed, controls);
    runs.set(figure, steps);
    return posted(await steps.look(controls, batch));
  },

  /** What a run shows under these controls; it stays where it is. @param {Asked} asked */
  async look({ figure, controls, batch }) {
    return posted(await runOf(figure).look(controls, batch));
  },

  /**
   * Up to `steps` steps, but no more than fit in `budget` milliseconds; at least one.
   * @param {Asked & {steps: number, budget: number, watch: string[]}} asked
   */
  async advance({ figure, controls, batch, steps, budget, watch }) {
    const end = performance.now() + budget;
    const done = [];
    do {
      const { number, outputs } = await runOf(figure).step(controls, batch);
      done.push({ number, outputs: posted(outputs) });
      if (watch.some((name) => !outputs[name].data.every(Number.isFinite))) break;
    } while (done.length < steps && performance.now() < end);
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
  return {
    async initial(seed, controls) {
      const inputs = { seed: vector([seed]), controls: vector(controls) };
      return (await run(figure, "initial", inputs)).next_state;
    },
    async step(state, rows, controls) {
      const whole = BigInt64Array.from(rows, BigInt);
      const inputs = { state, rows: new ort.Tensor("int64", whole, [rows.length]) };
      const found = await run(figure, "step", { ...inputs, controls: vector(controls) });
      const { next_state: next, ...outputs } = found;
      return { state: next, outputs };
    },
    observe: sessions.has(`${figure}/observe`)
      ? (state, controls) => run(figure, "observe", { state, controls: vector(controls) })
      : null,
  };
}

/**
 * @param {string} figure @param {string} graph @param {Record<string, any>} inputs
 * @returns {Promise<Record<string, any>>}
 */
function run(figure, graph, inputs) {
  return sessions.get(`${figure}/${graph}`).run(inputs);
}

/** @param {number[]} numbers */
function vector(numbers) {
  return new ort.Tensor("float32", Float32Array.from(numbers), [numbers.length]);
}

/** Tensors as plain data that can be posted. @param {import("./run.js").Outputs} outputs */
function posted(outputs) {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data, dims }]) => [name, { data, dims }]),
  );
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
      const fatal = data.op !== "load" || !sessions.size;
      self.postMessage({ id: data.id, error: String(error instanceof Error ? error.message : error), fatal });
    }
  });
};
