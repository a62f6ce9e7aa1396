// @ts-check
/**
 * Draw the moving marks of a plotly figure on a canvas at display rate.
 *
 * plotly owns axes, labels, hover and every drawing at rest; redrawing it takes longer than a frame.
 * While a slider moves or a training runs, its marks are hidden and this draws the same data with
 * the same axes, between plotly's two layers. Traces it does not know make `supports` false.
 */

import { bar, heatmap, known, scatter } from "./marks.js";

/** @type {Record<string, import("./marks.js").Draw>} */
const DRAW = { bar, heatmap, scatter };

/** @param {PlotlyElement} gd @returns {boolean} */
export function supports(gd) {
  return gd._fullData.every(known);
}

/** @param {PlotlyTrace} trace */
function hasData({ y, z }) {
  return Boolean(z ? z[0]?.length : y?.length);
}

export class Painter {
  /** @param {PlotlyElement} gd that has been drawn */
  constructor(gd) {
    this.gd = gd;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "bnviz-marks";
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.ratio = 1;
    this.canvas.setAttribute("aria-hidden", "true");
    /** @type {(PlotlyFullTrace | undefined)[]} what plotly knows of each trace, colours and widths included */
    this.styles = gd._fullData.map((full) => (full.visible === true ? full : undefined));
  }

  /** Whether it knows the looks of all that has data. plotly tells none of empty traces, as a training's
   * are before its first step; once it has drawn them with data, it does. */
  get informed() {
    return this.gd.data.every((data, k) => {
      const shown = data.visible === undefined || data.visible === true;
      return this.styles[k] || this.gd._fullData[k].visible === true || !shown || !hasData(data);
    });
  }

  /** Show the data of the figure as it is now, and hide plotly's own marks. */
  paint() {
    this.place();
    const { context, ratio } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    /** @type {Map<string, PlotlyTrace>} the curve before, which a fill may reach down to */
    const below = new Map();
    this.gd._fullData.forEach((newest, k) => {
      if (newest.visible === true) this.styles[k] = newest; // plotly forgets those of empty traces
      const full = this.styles[k];
      if (!full || this.gd.data[k].visible === false) return;
      const axes = this.axes(full);
      context.save();
      context.beginPath();
      context.rect(axes.left, axes.top, axes.width, axes.height);
      context.clip();
      context.globalAlpha = full.opacity ?? 1;
      const [data, place] = [this.gd.data[k], full.xaxis + full.yaxis];
      DRAW[full.type](context, data, full, axes, this.gd._fullLayout, below.get(place));
      if (full.type === "scatter") below.set(place, data);
      context.restore();
    });
    this.gd.classList.add("bnviz-hot");
  }

  /** Give the stage back to plotly. A canvas that stayed would keep its width in a narrower window. */
  clear() {
    this.gd.classList.remove("bnviz-hot");
    this.canvas.remove();
  }

  /** Put the canvas between plotly's marks and its labels, at the size of the figure. */
  place() {
    const { width, height } = this.gd._fullLayout;
    this.ratio = Math.min(window.devicePixelRatio || 1, 2);
    if (!this.canvas.isConnected) {
      this.gd.querySelectorAll(".main-svg")[1].before(this.canvas);
    }
    const [w, h] = [Math.round(width * this.ratio), Math.round(height * this.ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      [this.canvas.width, this.canvas.height] = [w, h];
      // a whole number of its own pixels: a fraction more or less would blur and shift the picture
      this.canvas.style.width = `${w / this.ratio}px`;
      this.canvas.style.height = `${h / this.ratio}px`;
    }
  }

  /**
   * The two axes of a trace as functions from value to pixel, and the box they span.
   * @param {PlotlyFullTrace} full @returns {import("./marks.js").Axes}
   */
  axes(full) {
    const layout = this.gd._fullLayout;
    const x = layout[full.xaxis.replace("x", "xaxis")];
    const y = layout[full.yaxis.replace("y", "yaxis")];
    return {
      x: (v) => x._offset + x.c2p(v),
      y: (v) => y._offset + y.c2p(v),
      left: x._offset,
      top: y._offset,
      width: x._length,
      height: y._length,
    };
  }
}
