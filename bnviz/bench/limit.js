// @ts-check
/** What no side of `race.js` can beat that multiplies and adds four numbers at a time. */
import { timed } from "./timed.js";

const ROUNDS = 100_000; // of one call; the browser's compiler takes its time with what is called once
const CALLS = 50; // of one short run, which takes some 10 ms

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

  /**
   * The fastest of many short runs: nothing can be faster, whoever else uses the machine.
   * @param {number} steps the loss is none
   */
  async run(steps) {
    const { exports, flops } = /** @type {any} */ (this);
    const some = (CALLS * exports.flops(ROUNDS)) / flops; // steps
    let rate = 0;
    for (let done = 0; done < steps; done += some) {
      const once = await timed(some, async () => {
        for (let k = 0; k < CALLS; k++) exports.work(ROUNDS, 0.999, 0.001);
        return NaN;
      });
      rate = Math.max(rate, once.rate);
    }
    return { rate, loss: NaN };
  }
}
