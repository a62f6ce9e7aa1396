// @ts-check
/** The network of `race.js` in jax-js, as its guides would write it. */
import { Shuffler } from "./page/prng.js";
import { timed } from "./timed.js";

/** The network in jax-js, compiled by its `jit`, gradients included. */
export class Jax {
  /**
   * @param {{home: string, kernels: number[][], width: number, lr: number, seed: number, x: number[][],
   *   y: number[], batch: number}} about the address of jax-js, and the network
   */
  constructor(about) {
    this.about = about;
    this.shuffler = new Shuffler(about.x.length, about.seed);
  }

  async start() {
    const { home, kernels, width, lr, x, y } = this.about;
    const jax = (this.jax = await import(`${home}index.js`));
    if (globalThis.crossOriginIsolated) throw new Error("jax-js would use several threads on this page");
    if (!(await jax.init("wasm")).includes("wasm")) throw new Error("no wasm backend");
    jax.defaultDevice("wasm");
    const np = jax.numpy;
    const matrix = (/** @type {number[]} */ kernel, /** @type {number} */ columns) =>
      np.array(Float32Array.from(kernel)).reshape([kernel.length / columns, columns]);
    const head = kernels.length - 1;
    this.weights = {
      hidden: kernels.slice(0, head).map((kernel) => ({
        w: matrix(kernel, width),
        gamma: np.ones([width]),
        beta: np.zeros([width]),
      })),
      head: { w: matrix(kernels[head], 10), b: np.zeros([10]) },
    };
    this.running = kernels.slice(0, head).map(() => ({ mean: np.zeros([width]), variance: np.ones([width]) }));
    this.data = { x: np.array(x), y: jax.nn.oneHot(np.array(Int32Array.from(y)), 10) };
    this.step = jax.jit(trainer(jax, lr));
  }

  /** @param {number} steps */
  run(steps) {
    const { numpy: np, tree } = this.jax;
    return timed(steps, async () => {
      let loss = NaN;
      for (let k = 0; k < steps; k++) {
        const rows = np.array(Int32Array.from(this.shuffler.take(this.about.batch)));
        const [weights, running, found] = this.step(this.weights, this.running, tree.ref(this.data), rows);
        [this.weights, this.running] = [weights, running];
        [loss] = found.dataSync(); // at each step: jax-js puts off what nobody reads, and then takes longer
      }
      return loss;
    });
  }
}

/**
 * A step of the network for `jit`. Every use of an array but the last one takes a `ref`: jax-js counts.
 * @param {any} jax @param {number} lr
 */
function trainer({ numpy: np, nn, tree, valueAndGrad }, lr) {
  /** @param {any} h @param {any} layer @param {any} running */
  const batchNorm = (h, { gamma, beta }, running) => {
    const m = h.shape[0];
    const mean = np.mean(h.ref, 0);
    const centred = h.sub(mean.ref);
    const variance = np.mean(np.square(centred.ref), 0);
    const next = {
      mean: running.mean.mul(0.9).add(mean.mul(0.1)),
      variance: running.variance.mul(0.9).add(variance.ref.mul((0.1 * m) / (m - 1))),
    };
    return [centred.div(np.sqrt(variance.add(1e-5))).mul(gamma).add(beta), next];
  };
  /** @param {any} weights @param {any[]} running @param {any} x @param {any} y */
  const loss = ({ hidden, head }, running, x, y) => {
    let h = x;
    const after = hidden.map((/** @type {any} */ layer, /** @type {number} */ k) => {
      const [normalised, next] = batchNorm(np.matmul(h, layer.w), layer, running[k]);
      h = nn.relu(normalised);
      return next;
    });
    const logits = np.matmul(h, head.w).add(head.b);
    return [np.mean(np.sum(nn.logSoftmax(logits).mul(y), 1)).neg(), after];
  };
  const gradient = valueAndGrad(loss, { hasAux: true });
  /** @param {any} weights @param {any} running @param {any} data @param {any} rows */
  return (weights, running, data, rows) => {
    const [x, y] = [np.take(data.x, rows.ref, 0), np.take(data.y, rows, 0)];
    const [[found, after], slopes] = gradient(tree.ref(weights), running, x, y);
    const moved = tree.map((/** @type {any} */ w, /** @type {any} */ g) => w.sub(g.mul(lr)), weights, slopes);
    return [moved, after, found];
  };
}
