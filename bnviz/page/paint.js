// @ts-check
/**
 * Draw the moving marks of a plotly figure on a canvas at display rate.
 *
 * plotly owns axes, labels, hover and every drawing at rest; redrawing it takes longer than a frame.
 * While a slider moves or a training runs, its marks are hidden and this draws the same data with
 * the same axes, between plotly's two layers. Traces it does not know make `supports` false.
 */

const KINDS = new Set(["scatter", "bar", "heatmap"]);

/** @param {any} gd a plotly element @returns {boolean} */
export function supports(gd) {
  return gd._fullData.every((trace) => KINDS.has(trace.type));
}

export class Painter {
  /** @param {any} gd a plotly element that has been drawn */
  constructor(gd) {
    this.gd = gd;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "bnviz-marks";
    this.canvas.setAttribute("aria-hidden", "true");
    /** @type {Map<string, Uint32Array>} */
    this.palettes = new Map();
    /** @type {any[]} what plotly knows of each trace, colours and widths included */
    this.styles = [];
    this.scratch = document.createElement("canvas");
  }

  /** Show the data of the figure as it is now, and hide plotly's own marks. */
  paint() {
    this.place();
    const context = this.canvas.getContext("2d");
    const ratio = this.ratio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
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
      this[full.type](context, this.gd.data[k], full, axes);
      context.restore();
    });
    this.gd.classList.add("bnviz-hot");
  }

  /** Give the stage back to plotly. */
  clear() {
    this.gd.classList.remove("bnviz-hot");
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
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
      [this.canvas.style.width, this.canvas.style.height] = [`${width}px`, `${height}px`];
    }
  }

  /** The two axes of a trace as functions from value to pixel, and the box they span. */
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

  scatter(context, data, full, axes) {
    const n = Math.min(data.x.length, data.y.length);
    if (full.mode.includes("lines")) {
      const path = new Path2D();
      let pen = false;
      for (let i = 0; i < n; i++) {
        const [px, py] = [axes.x(data.x[i]), axes.y(data.y[i])];
        if (!Number.isFinite(px) || !Number.isFinite(py)) pen = false;
        else if (pen) path.lineTo(px, py);
        else {
          path.moveTo(px, py);
          pen = true;
        }
      }
      if (full.fill === "tozerox" && n) {
        const area = new Path2D(path);
        area.lineTo(axes.x(0), axes.y(data.y[n - 1]));
        area.lineTo(axes.x(0), axes.y(data.y[0]));
        context.fillStyle = full.fillcolor;
        context.fill(area);
      }
      context.strokeStyle = full.line.color;
      context.lineWidth = full.line.width;
      context.lineJoin = "round";
      const dash = { dot: [1, 1], dash: [3, 3] }[full.line.dash] ?? [];
      context.setLineDash(dash.map((d) => d * Math.max(3, full.line.width)));
      context.stroke(path);
    }
    if (full.mode.includes("markers")) {
      context.fillStyle = full.marker.color;
      context.globalAlpha *= full.marker.opacity ?? 1;
      for (let i = 0; i < n; i++) {
        const size = typeof full.marker.size === "number" ? full.marker.size : full.marker.size[i];
        const [px, py] = [axes.x(data.x[i]), axes.y(data.y[i])];
        if (!Number.isFinite(px) || !Number.isFinite(py)) continue;
        context.beginPath();
        context.arc(px, py, size / 2, 0, 2 * Math.PI);
        context.fill();
      }
    }
  }

  bar(context, data, full, axes) {
    context.fillStyle = full.marker.color;
    context.globalAlpha *= full.marker.opacity ?? 1;
    for (let i = 0; i < data.x.length; i++) {
      const left = axes.x(data.x[i] - full.width / 2);
      const right = axes.x(data.x[i] + full.width / 2);
      const top = axes.y(data.y[i]);
      context.fillRect(left, top, right - left, axes.y(0) - top);
    }
  }

  heatmap(context, data, full, axes) {
    const columns = data.x.length;
    const rows = data.z.length;
    if (!columns || !rows) return;
    const palette = this.palette(full);
    const scale = 255 / (full.zmax - full.zmin);
    const image = new ImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < rows; i++) {
      const row = data.z[i];
      const base = (rows - 1 - i) * columns; // plotly's first row is at the bottom
      for (let j = 0; j < columns; j++) {
        const level = (row[j] - full.zmin) * scale;
        pixels[base + j] = Number.isNaN(level) ? 0 : palette[Math.max(0, Math.min(255, level | 0))];
      }
    }
    this.scratch.width = columns;
    this.scratch.height = rows;
    this.scratch.getContext("2d").putImageData(image, 0, 0);
    const dx = columns > 1 ? data.x[1] - data.x[0] : 1;
    const dy = rows > 1 ? data.y[1] - data.y[0] : 1;
    const left = axes.x(data.x[0] - dx / 2);
    const right = axes.x(data.x[columns - 1] + dx / 2);
    const bottom = axes.y(data.y[0] - dy / 2);
    const top = axes.y(data.y[rows - 1] + dy / 2);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.scratch, left, top, right - left, bottom - top);
  }

  /** 256 colours of a scale of "rgba(r,g,b,a)" stops, as pixels. */
  palette(full) {
    const key = JSON.stringify(full.colorscale);
    const known = this.palettes.get(key);
    if (known) return known;
    const stops = full.colorscale.map(([at, colour]) => [at, colour.match(/[\d.]+/g).map(Number)]);
    const bytes = new Uint8ClampedArray(1024);
    for (let level = 0; level < 256; level++) {
      const t = level / 255;
      const k = Math.max(1, stops.findIndex(([at]) => at >= t));
      const [[a, low], [b, high]] = [stops[k - 1], stops[k]];
      for (let c = 0; c < 4; c++) {
        const mixed = low[c] + ((high[c] - low[c]) * (t - a)) / (b - a);
        bytes[4 * level + c] = c === 3 ? 255 * mixed : mixed;
      }
    }
    const palette = new Uint32Array(bytes.buffer);
    this.palettes.set(key, palette);
    return palette;
  }
}
