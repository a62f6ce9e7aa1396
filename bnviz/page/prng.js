// @ts-check
/** Random numbers from pure arithmetic: the twin of `bnviz/maths/prng.py`, number for number. */

const MULTIPLIERS = [0x7feb352d, 0x31848bab];
const SHIFTS = [16, 15];
const PLACES = 2 ** 21; // more than there are rows

/** Scramble a whole number below 2**32. @param {number} x @returns {number} */
export function hash32(x) {
  for (let k = 0; k < 2; k++) {
    x ^= x >>> SHIFTS[k];
    x = Math.imul(x, MULTIPLIERS[k]);
  }
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * The whole numbers below n in an order given by (seed, stream).
 * @param {number} n @param {number} seed @param {number} stream @returns {number[]}
 */
export function permutation(n, seed, stream) {
  const start = hash32((hash32(seed + 1) + stream) >>> 0);
  // Hash and index in one number, which is exact below 2**53: sorted without a function to compare
  // with, four times as fast. Equal hashes stay in the order of their indices.
  const keys = Float64Array.from({ length: n }, (_, i) => hash32((i + start) >>> 0) * PLACES + i);
  return Array.from(keys.sort(), (key) => key % PLACES);
}

/** Rows of a data set in shuffled epochs, handed out in minibatches of any size. */
export class Shuffler {
  /** @param {number} n rows @param {number} seed whole number >= 0 */
  constructor(n, seed) {
    this.n = n;
    this.seed = seed;
    this.epoch = 0;
    /** @type {readonly number[]} rows of this epoch; those before `at` are gone */
    this.order = [];
    this.at = 0;
  }

  /** Another one at the same place; neither moves the other. @returns {Shuffler} */
  copy() {
    const other = new Shuffler(this.n, this.seed);
    other.epoch = this.epoch;
    other.order = this.order;
    other.at = this.at;
    return other;
  }

  /** The next m row numbers. @param {number} m @returns {number[]} */
  take(m) {
    m = Math.max(1, Math.min(this.n, Math.round(m)));
    while (this.order.length - this.at < m) {
      this.order = [...this.order.slice(this.at), ...permutation(this.n, this.seed, this.epoch)];
      this.at = 0;
      this.epoch += 1;
    }
    this.at += m;
    return this.order.slice(this.at - m, this.at);
  }
}
