// @ts-check
/** The page's side of `worker.js`: questions with promises for answers. One worker for all figures. */

/** @type {Worker | null} */
let worker = null;
/** @type {Map<number, {resolve: Function, reject: Function}>} */
const waiting = new Map();
/** @type {Set<(loaded: number, total: number) => void>} */
const listeners = new Set();
/** @type {Promise<void> | null} */
let loading = null;
let next = 0;

function start() {
  worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }) => {
    if (data.progress) {
      listeners.forEach((tell) => tell(data.progress.loaded, data.progress.total));
      return;
    }
    const question = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error) question?.reject(new Error(data.error));
    else question?.resolve(data.result);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    stop(new Error(event.message || "the worker could not be started"));
  };
}

/** End the worker; every open question fails. A later `ask` starts another. */
function stop(error) {
  worker?.terminate();
  worker = loading = null;
  const open = [...waiting.values()];
  waiting.clear();
  open.forEach(({ reject }) => reject(error));
}

/** @param {string} op @param {object} details @returns {Promise<any>} */
export function ask(op, details = {}) {
  if (!worker) start();
  return new Promise((resolve, reject) => {
    const id = next++;
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, op, ...details });
  });
}

/**
 * Load the runtime once for the page.
 * @param {Record<string, string>} urls @param {(loaded: number, total: number) => void} progress
 */
export async function loadRuntime(urls, progress) {
  listeners.add(progress);
  try {
    loading ??= ask("runtime", { urls });
    await loading;
  } catch (error) {
    stop(error);
    throw error;
  } finally {
    listeners.delete(progress);
  }
}
