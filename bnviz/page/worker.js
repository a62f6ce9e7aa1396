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
import { Shuffler } from "./prng.js";

/** @type {any} */
let ort = null;
/** @type {Map<string, any>} sessions by "figure/graph" */
const sessions = new Map();
/** @type {Map<string, {state: any, rows: Shuffler, steps: number}>} runs by figure */
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

async function bring(url) {
  try {
    return await import(url);
  } catch {
    throw new Error("onnxruntime-web could not be loaded; check the connection to the network");
  }
}

async function session(url, bytes) {
  try {
    return await ort.InferenceSession.create(new Uint8Array(bytes));
  } catch (error) {
    const started = !String(error).includes("backend");
    const name = started ? url.split("/").pop() : "onnxruntime-web";
    throw new Error(`${name} did not arrive whole, or does not run in this browser`);
  }
}

const operations = {
  /** Load onnxruntime-web: {ort, loader, wasm} are addresses; which attempt it is. */
  async runtime({ urls, attempt }) {
    if (ort) return;
    needWebAssembly();
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

  /** Load the graphs of a figure: {name: address}. */
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

  /** Outputs of an Explorer for these control numbers. */
  async compute({ figure, controls }) {
    return plain(await run(figure, "compute", { controls: vector(controls) }));
  },

  /** Begin a Simulation; the answer shows step 0. */
  async start({ figure, controls, seed, rows, batch }) {
    const inputs = { seed: vector([seed]), controls: vector(controls) };
    const state = (await run(figure, "initial", inputs)).next_state;
    runs.set(figure, { state, rows: new Shuffler(rows, seed), steps: 0 });
    return operations.peek({ figure, controls, batch });
  },

  /** The outputs of a step that is not taken, and what the state looks like under these controls. */
  async peek({ figure, controls, batch }) {
    const { state, rows } = runs.get(figure);
    const first = new Shuffler(rows.n, rows.seed).take(batch);
    const { next_state: _, ...outputs } = await step(figure, state, first, controls);
    if (!sessions.has(`${figure}/observe`)) return plain(outputs);
    const observed = await run(figure, "observe", { state, controls: vector(controls) });
    return plain({ ...outputs, ...observed });
  },

  /** Up to `steps` steps, but no more than fit in `budget` milliseconds; at least one. */
  async advance({ figure, controls, batch, steps, budget, every, watch }) {
    const simulation = runs.get(figure);
    const end = performance.now() + budget;
    const done = [];
    do {
      const rows = simulation.rows.take(batch);
      const { next_state: state, ...outputs } = await step(figure, simulation.state, rows, controls);
      simulation.state = state;
      simulation.steps += 1;
      const record = { number: simulation.steps, outputs: plain(outputs), observed: null };
      done.push(record);
      const diverged = watch.some((name) => !outputs[name].data.every(Number.isFinite));
      if (simulation.steps % every === 0 && sessions.has(`${figure}/observe`)) {
        const inputs = { state, controls: vector(controls) };
        record.observed = plain(await run(figure, "observe", inputs));
      }
      if (diverged) break;
    } while (done.length < steps && performance.now() < end);
    return done;
  },
};

function step(figure, state, rows, controls) {
  const whole = BigInt64Array.from(rows, BigInt);
  const inputs = { state, rows: new ort.Tensor("int64", whole, [rows.length]) };
  return run(figure, "step", { ...inputs, controls: vector(controls) });
}

function run(figure, graph, inputs) {
  return sessions.get(`${figure}/${graph}`).run(inputs);
}

function vector(numbers) {
  return new ort.Tensor("float32", Float32Array.from(numbers), [numbers.length]);
}

/** Tensors as plain data that can be posted. */
function plain(outputs) {
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
      self.postMessage({ id: data.id, error: String(error?.message ?? error), fatal });
    }
  });
};
