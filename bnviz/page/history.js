// @ts-check
/** A run of any length in a fixed number of columns: the twin of `bnviz/figure/history.py`. */

export class History {
  /** @param {number} capacity even, at least 2 @param {number} every steps between two values */
  constructor(capacity, every = 1) {
    this.capacity = capacity;
    this.every = every;
    this.stride = 1;
    /** @type {Float32Array[]} */
    this.columns = [];
    this.inLast = 0;
    /** @type {Float32Array[]} of the image, used again for each */
    this.rows = [];
  }

  /** Add the next value, always of one length. @param {ArrayLike<number>} value */
  append(value) {
    const last = this.columns[this.columns.length - 1];
    if (last && this.inLast < this.stride) {
      this.inLast += 1;
      for (let i = 0; i < last.length; i++) last[i] += (value[i] - last[i]) / this.inLast;
      return;
    }
    if (this.columns.length === this.capacity) this.merge();
    this.columns.push(Float32Array.from(value));
    this.inLast = 1;
  }

  merge() {
    const merged = [];
    for (let k = 0; k < this.columns.length; k += 2) {
      const [a, b] = [this.columns[k], this.columns[k + 1]];
      merged.push(a.map((v, i) => (v + b[i]) / 2));
    }
    this.columns = merged;
    this.stride *= 2;
  }

  /** The middle of the steps of each column; the first step is 1. @returns {number[]} */
  steps() {
    return this.columns.map((_, k) => this.every * (k * this.stride + (this.stride + 1) / 2));
  }

  /** One number per column: that element of it. @param {number} at @returns {number[]} */
  curve(at = 0) {
    return this.columns.map((column) => column[at]);
  }

  /**
   * Columns side by side, as plotly's z: one row per element. It shows the run until the next image
   * is taken. @returns {Float32Array[]}
   */
  image() {
    const height = this.columns[0]?.length ?? 0;
    while (this.rows.length < height) this.rows.push(new Float32Array(this.capacity));
    // plain loops: a function for each of some 100,000 numbers would leave 40 MB of them a second
    for (const [k, column] of this.columns.entries()) {
      for (let i = 0; i < height; i++) this.rows[i][k] = column[i];
    }
    return this.rows.map((row) => row.subarray(0, this.columns.length));
  }

  /** Steps that fit before the next merge. @returns {number} */
  get extent() {
    return this.capacity * this.stride * this.every;
  }
}
