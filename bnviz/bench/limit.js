// @ts-check
/** What no side of `race.js` can beat that multiplies and adds four numbers at a time. */
import { timed } from "./timed.js";

const ROUNDS = 100_000; // of one call; the browser's compiler takes its time with what is called once

/** That alone, on registers. */
export class Limit {
  /** @param {{wasm: string, flops: number}} about address of `peak.c`, compiled; those of a step */
  constructor({ wasm, flops }) {
    Object.assign(this, { wasm, flops });
  }

  async start() {
    const me = /** @type {any} */ (this);
    me.exports = (await WebAssembly.instantiateStreaming(fetch(me.wasm))).instance.exports;
  }

  /** @param {number} steps the loss is none */
  run(steps) {
    const { exports, flops } = /** @type {any} */ (this);
    const calls = Math.ceil((steps * flops) / exports.flops(ROUNDS));
    return timed((calls * exports.flops(ROUNDS)) / flops, async () => {
      for (let k = 0; k < calls; k++) exports.work(ROUNDS, 0.999, 0.001);
      return NaN;
    });
  }
}
