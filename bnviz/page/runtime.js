// @ts-check
/** The page's side of `worker.js`: questions with promises for answers. One worker for all trainings. */

const BEAT = 5000; // milliseconds between two looks at a worker that owes an answer
const SILENCE = 6; // so many without a sign of life, and it is given up

/** @type {Worker | null} */
let worker = null;
/** @type {Map<number, {resolve: Function, reject: Function}>} */
const waiting = new Map();
/** @type {Set<(error: Error) => void>} */
const mourners = new Set();
let next = 0;
let attempt = 0; // what went wrong so far; copies that the browser kept are not used again
let silent = 0;
/** @type {number | undefined} */
let beat;

function start() {
  if (!window.Worker) throw new Error("its worker could not be started; allow workers for this site");
  worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }) => heard(data);
  worker.onerror = (event) => {
    event.preventDefault();
    stop(new Error(event.message || "its worker could not be started; allow workers for this site"));
  };
}

/** @param {any} answer as `worker.js` tells it */
function heard({ id, result, error, fatal }) {
  silent = 0;
  const question = waiting.get(id);
  if (!question) return;
  if (fatal) {
    stop(new Error(error));
    return;
  }
  waiting.delete(id);
  if (error) {
    attempt += 1;
    question.reject(new Error(error));
  } else question.resolve(result);
}

/** A worker can end without a word, killed by a browser that is short of memory. */
function look() {
  if (!waiting.size) {
    clearInterval(beat);
    beat = undefined;
  } else if (silent++ < SILENCE) worker?.postMessage({ op: "ping" });
  else stop(new Error("its worker does not answer any more"));
}

/** End the worker; every open question fails. A later `ask` starts another. @param {Error} error */
function stop(error) {
  worker?.terminate();
  worker = null;
  attempt += 1;
  const open = [...waiting.values()];
  waiting.clear();
  open.forEach(({ reject }) => reject(error));
  mourners.forEach((tell) => tell(error));
}

/** Call when the worker has ended, and with it all modules and runs. @param {(error: Error) => void} tell */
export function whenStopped(tell) {
  mourners.add(tell);
}

/** @param {string} op @param {object} details @returns {Promise<any>} */
export function ask(op, details = {}) {
  if (!worker) start();
  if (!waiting.size) silent = 0;
  beat ??= setInterval(look, BEAT);
  return new Promise((resolve, reject) => {
    const id = next++;
    waiting.set(id, { resolve, reject });
    worker?.postMessage({ id, op, attempt, ...details });
  });
}
