// @ts-check
/**
 * Ways to train the same network in a browser: the page's own, the one it had before, TensorFlow.js,
 * jax-js; and the most that any of them could do.
 *
 * All give {rate: steps per second, loss: of the last step}.
 */
import { Shuffler } from "./page/prng.js";
import { ask } from "./page/runtime.js";
import { timed } from "./timed.js";
export { Jax } from "./jax.js";
export { Limit } from "./limit.js";

/** TensorFlow.js, from its own scripts. @type {any} */
const tf = /** @type {any} */ (globalThis).tf;

/** The network as the page trains it: in the worker, asked frame by frame. */
export class Page {
  /**
   * @param {{figure: string, module: object, base: string, lr: number, seed: number, rows: number,
   *   batch: number}} about
   */
  constructor({ figure, module, base, lr, seed, rows, batch }) {
    this.about = { figure, controls: [lr, batch], batch };
    this.seed = seed;
    this.rows = rows;
    this.module = { module, base };
  }

  async start() {
    await ask("load", { figure: this.about.figure, ...this.module });
    await ask("start", { ...this.about, seed: this.seed, rows: this.rows, every: Infinity });
  }

  /** @param {number} steps */
  run(steps) {
    return timed(steps, async () => {
      let [left, loss] = [steps, NaN];
      while (left) {
        const asked = { ...this.about, steps: left, budget: 12, every: ["loss"], watch: ["loss"] };
        const records = await ask("advance", asked);
        left -= records.length;
        loss = records[records.length - 1].outputs.loss.data[0];
      }
      return loss;
    });
  }
}

/** The network in onnxruntime-web, which the page stood on before; its graphs are those of that time. */
export class Onnx {
  /**
   * @param {{initial: string, step: string, home: string, lr: number, seed: number, rows: number,
   *   batch: number}} about addresses of the graphs and of onnxruntime-web
   */
  constructor({ initial, step, home, lr, seed, rows, batch }) {
    Object.assign(this, { initial, step, home, seed, batch });
    this.controls = [lr, batch];
    this.shuffler = new Shuffler(rows, seed);
  }

  async start() {
    const me = /** @type {any} */ (this);
    const ort = (me.ort = await import(`${me.home}ort.wasm.min.mjs`));
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = me.home;
    const [initial, step] = await Promise.all(
      [me.initial, me.step].map((url) => ort.InferenceSession.create(url)),
    );
    me.session = step;
    const controls = new ort.Tensor("float32", Float32Array.from(this.controls), [2]);
    const seed = new ort.Tensor("float32", Float32Array.of(me.seed), [1]);
    const given = Object.fromEntries(
      Object.entries({ seed, controls }).filter(([name]) => initial.inputNames.includes(name)),
    );
    me.state = (await initial.run(given)).next_state;
    me.given = { controls };
  }

  /** @param {number} steps */
  run(steps) {
    const me = /** @type {any} */ (this);
    return timed(steps, async () => {
      let loss = NaN;
      for (let k = 0; k < steps; k++) {
        const rows = BigInt64Array.from(this.shuffler.take(me.batch), BigInt);
        const found = await me.session.run({
          ...me.given,
          state: me.state,
          rows: new me.ort.Tensor("int64", rows, [rows.length]),
        });
        me.state = found.next_state;
        loss = found.loss.data[0];
      }
      return loss;
    });
  }
}

/** The network in TensorFlow.js, as its guides would write it. */
export class TensorFlow {
  /**
   * @param {{kernels: number[][], width: number, lr: number, seed: number, x: number[][], y: number[],
   *   batch: number}} about
   */
  constructor({ kernels, width, lr, seed, x, y, batch }) {
    const model = tf.sequential();
    kernels.slice(0, -1).forEach((_, k) => {
      model.add(tf.layers.dense({ units: width, useBias: false, ...(k ? {} : { inputShape: [x[0].length] }) }));
      model.add(tf.layers.batchNormalization({ momentum: 0.9, epsilon: 1e-5 }));
      model.add(tf.layers.activation({ activation: "relu" }));
    });
    model.add(tf.layers.dense({ units: 10 }));
    const dense = model.layers.filter((/** @type {any} */ layer) => layer.getClassName() === "Dense");
    dense.forEach((/** @type {any} */ layer, /** @type {number} */ k) => {
      const [weight, ...rest] = layer.getWeights();
      layer.setWeights([tf.tensor(kernels[k], weight.shape), ...rest]);
    });
    this.model = model;
    this.optimizer = tf.train.sgd(lr);
    this.x = tf.tensor2d(x);
    this.y = tf.cast(tf.oneHot(tf.tensor1d(y, "int32"), 10), "float32");
    this.shuffler = new Shuffler(x.length, seed);
    this.batch = batch;
  }

  step() {
    const rows = this.shuffler.take(this.batch);
    return tf.tidy(() => {
      const index = tf.tensor1d(rows, "int32");
      const [x, y] = [tf.gather(this.x, index), tf.gather(this.y, index)];
      const loss = () => tf.losses.softmaxCrossEntropy(y, this.model.apply(x, { training: true }));
      return this.optimizer.minimize(loss, true);
    });
  }

  /** @param {number} steps */
  run(steps) {
    return timed(steps, async () => {
      for (let k = 1; k < steps; k++) this.step().dispose();
      const last = this.step();
      const [loss] = await last.data();
      last.dispose();
      return loss;
    });
  }
}

/** One side that was built: `sides[name]`. */
export const sides = {};
