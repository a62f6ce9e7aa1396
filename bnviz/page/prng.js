// @ts-check
/** Random numbers from pure arithmetic: the twin of `bnviz/maths/prng.py`, number for number. */

const MULTIPLIERS = [0x7feb352d, 0x31848bab];
const SHIFTS = [16, 15];

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
  const keys = Array.from({ length: n }, (_, i) => hash32((i + start) >>> 0));
  return Array.from({ length: n }, (_, i) => i).sort((a, b) => keys[a] - keys[b] || a - b);
}

/** Rows of a data set in shuffled epochs, handed out in minibatches of any size. */
export class Shuffler {
  /** @param {number} n rows @param {number} seed whole number >= 0 */
  constructor(n, seed) {
    this.n = n;
    this.seed = seed;
    this.epoch = 0;
    /** @type {number[]} */
    this.left = [];
  }

  /** Another one at the same place; neither moves the other. @returns {Shuffler} */
  copy() {
    const other = new Shuffler(this.n, this.seed);
    other.epoch = this.epoch;
    other.left = [...this.left];
    return other;
  }

  /** The next m row numbers. @param {number} m @returns {number[]} */
  take(m) {
    m = Math.max(1, Math.min(this.n, Math.round(m)));
    while (this.left.length < m) {
      this.left.push(...permutation(this.n, this.seed, this.epoch));
      this.epoch += 1;
    }
    return this.left.splice(0, m);
  }
}
