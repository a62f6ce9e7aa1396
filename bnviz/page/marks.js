// @ts-check
/**
 * The marks that a canvas can draw in plotly's place: each function takes a 2-D context, the data of
 * a trace, what plotly has filled in for it, its axes as functions from value to pixel, and the
 * layout. What `known` refuses is left to plotly.
 */
import { channels, symbol } from "./symbols.js";

/** @typedef {[number, number]} Point in pixels; NaN where there is nothing to draw */
/** @typedef {(value: any) => number} Axis from value to pixel */
/** @typedef {{x: Axis, y: Axis, left: number, top: number, width: number, height: number}} Axes */
/** @typedef {ArrayLike<number | null>[]} Table row by row */
/**
 * @callback Draw
 * @param {CanvasRenderingContext2D} context
 * @param {PlotlyTrace} data
 * @param {PlotlyFullTrace} full
 * @param {Axes} axes
 * @param {PlotlyFullLayout} layout
 * @param {PlotlyTrace} [below] the trace before it, as (data, axes)
 * @returns {void}
 */

const FILLS = new Set(["none", "tozerox", "tozeroy", "tonexty", "tonextx", "toself"]);
/** @type {Record<string, number[]>} */
const DASHES = { dot: [1, 1], dash: [3, 3] };

/** @param {PlotlyFullTrace} full */
export function known(full) {
  if (full.type === "bar") return typeof full.marker.color === "string" || full.visible !== true;
  if (full.type === "heatmap") return !full.coloraxis;
  if (full.type !== "scatter") return false;
  return full.visible !== true || (FILLS.has(full.fill ?? "none") && !full.mode.includes("text"));
}

/** @type {Draw} */
export function scatter(context, data, full, axes, _layout, below) {
  const points = pixels(data, axes);
  if (full.fill && full.fill !== "none") {
    context.fillStyle = full.fillcolor;
    polyline(context, area(full.fill, points, axes, below));
    context.fill();
  }
  if (full.mode.includes("lines") && full.line.width) {
    context.strokeStyle = full.line.color;
    context.lineWidth = full.line.width;
    context.lineJoin = "round";
    const dash = DASHES[full.line.dash] ?? [];
    context.setLineDash(dash.map((d) => d * Math.max(3, full.line.width)));
    polyline(context, points);
    context.stroke();
    context.setLineDash([]);
  }
  if (full.mode.includes("markers")) markers(context, data, full, points);
}

/** @param {PlotlyTrace} data @param {Axes} axes @returns {Point[]} */
function pixels(data, axes) {
  const n = Math.min(data.x.length, data.y.length);
  return Array.from({ length: n }, (_, i) => [place(axes.x, data.x[i]), place(axes.y, data.y[i])]);
}

/** null means nothing here; plotly's axes would take it for 0. @param {Axis} axis @param {any} value */
function place(axis, value) {
  return value === null || value === undefined ? NaN : axis(value);
}

/** @param {Point} point */
const drawn = ([x, y]) => Number.isFinite(x) && Number.isFinite(y);

/** Begin a context's path anew with lines. @param {CanvasRenderingContext2D} context @param {Point[]} points */
function polyline(context, points) {
  context.beginPath();
  let pen = false;
  for (const point of points) {
    if (!drawn(point)) pen = false;
    else if (pen) context.lineTo(point[0], point[1]);
    else {
      context.moveTo(point[0], point[1]);
      pen = true;
    }
  }
}

/**
 * Around what is to be filled.
 * @param {string} fill @param {Point[]} points @param {Axes} axes @param {PlotlyTrace} [below]
 */
function area(fill, points, axes, below) {
  const edge = points.filter(drawn);
  if (!edge.length) return [];
  const [first, last] = [edge[0], edge[edge.length - 1]];
  /** @type {Point[]} */
  let back = [];
  if (fill === "tozerox") back = [[axes.x(0), last[1]], [axes.x(0), first[1]]];
  else if (fill.startsWith("tonext") && below) back = pixels(below, axes).filter(drawn).reverse();
  else if (fill !== "toself") back = [[last[0], axes.y(0)], [first[0], axes.y(0)]];
  return [...edge, ...back];
}

/**
 * @param {CanvasRenderingContext2D} context @param {PlotlyTrace} data
 * @param {PlotlyFullTrace} full @param {Point[]} points
 */
function markers(context, data, full, points) {
  const { size, color, symbol: name, opacity } = full.marker;
  const given = data.marker ?? {};
  /** @template T @param {T} whole @param {any} list @param {number} i @returns {T} */
  const at = (whole, list, i) => (typeof list === "object" && list ? list[i] : whole);
  const hollow = typeof name === "string" && name.endsWith("-open");
  context.globalAlpha *= opacity ?? 1;
  points.forEach((point, i) => {
    if (!drawn(point)) return;
    symbol(context, at(name, given.symbol, i), point, at(size, given.size, i));
    const colour = at(color, given.color, i);
    [context.fillStyle, context.strokeStyle, context.lineWidth] = [colour, colour, 1.5];
    if (hollow) context.stroke();
    else context.fill();
    const { line } = full.marker;
    if (!hollow && line?.width) {
      [context.strokeStyle, context.lineWidth] = [line.color, line.width];
      context.stroke();
    }
  });
}

/** @type {Draw} */
export function bar(context, data, full, axes) {
  context.fillStyle = full.marker.color;
  context.globalAlpha *= full.marker.opacity ?? 1;
  const sideways = full.orientation === "h";
  const [along, up] = sideways ? [axes.y, axes.x] : [axes.x, axes.y];
  const [places, sizes] = sideways ? [data.y, data.x] : [data.x, data.y];
  for (let i = 0; i < places.length; i++) {
    const at = typeof places[i] === "number" ? places[i] : i;
    const width = full.width ?? 0.8;
    const [a, b] = [along(at - width / 2), along(at + width / 2)];
    const [zero, end] = [up(0), up(sizes[i])];
    if (!Number.isFinite(end)) continue;
    if (sideways) context.fillRect(zero, b, end - zero, a - b);
    else context.fillRect(a, end, b - a, zero - end);
  }
}

// used again for each heatmap: new ones for every picture would be 20 MB a second
const scratch = document.createElement("canvas");
let cells = new ImageData(scratch.width, scratch.height);
/** @type {Map<string, Uint32Array>} */
const palettes = new Map();

/** @type {Draw} */
export function heatmap(context, data, full, axes, layout) {
  const [columns, rows] = [data.z[0]?.length ?? 0, data.z.length];
  if (!columns || !rows) return;
  const [left, right] = edges(data.x, columns, axes.x);
  const [bottom, top] = edges(data.y, rows, axes.y);
  if (cells.width !== columns || cells.height !== rows) {
    [scratch.width, scratch.height] = [columns, rows];
    cells = new ImageData(columns, rows);
  }
  colour(cells, data.z, full, top > bottom);
  /** @type {CanvasRenderingContext2D} */ (scratch.getContext("2d")).putImageData(cells, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(scratch, left, Math.min(top, bottom), right - left, Math.abs(bottom - top));
  if (full.texttemplate) numbers(context, data, full, axes, layout, [left, right, bottom, top]);
}

/**
 * Outer edges of equally wide cells, in pixels; a count stands for its middle 0, 1, 2, ...
 * @param {any} centres @param {number} n @param {Axis} axis @returns {Point}
 */
function edges(centres, n, axis) {
  const c = centres?.length && typeof centres[0] !== "string" ? centres : [0, n - 1];
  const [first, last] = [c[0], c[c.length - 1]];
  const half = n > 1 ? (last - first) / (n - 1) / 2 : 0.5;
  return [axis(first - half), axis(last + half)];
}

/**
 * One pixel for each cell; plotly's first row is at the bottom, unless the axis is upside down.
 * @param {ImageData} image of that many cells
 * @param {Table} z @param {PlotlyFullTrace} full @param {boolean} flipped
 */
function colour(image, z, full, flipped) {
  const [rows, columns] = [z.length, z[0].length];
  const colours = palette(full.colorscale);
  const scale = 255 / (full.zmax - full.zmin);
  const out = new Uint32Array(image.data.buffer);
  for (let i = 0; i < rows; i++) {
    const base = (flipped ? i : rows - 1 - i) * columns;
    for (let j = 0; j < columns; j++) {
      const value = z[i][j];
      const level = value === null ? NaN : (value - full.zmin) * scale;
      out[base + j] = Number.isNaN(level) ? 0 : colours[Math.max(0, Math.min(255, level | 0))];
    }
  }
}

/**
 * The numbers in the cells, for templates such as "%{z:.2f}", to the pixel where plotly puts them.
 * @param {CanvasRenderingContext2D} context @param {PlotlyTrace} data @param {PlotlyFullTrace} full
 * @param {Axes} axes @param {PlotlyFullLayout} layout @param {[number, number, number, number]} box
 */
function numbers(context, data, full, axes, layout, [left, right, bottom, top]) {
  const [rows, columns] = [data.z.length, data.z[0].length];
  const digits = Number(/%\{z:\.(\d)f\}/.exec(full.texttemplate ?? "")?.[1] ?? 2);
  const { size, family, color } = full.textfont;
  context.font = `${size}px ${family}`;
  context.fillStyle = color && color !== "auto" ? color : layout.font.color;
  context.textAlign = "center";
  const drop = 0.35 * size; // from the middle of a line to its baseline
  const [dx, dy] = [(right - left) / columns, (top - bottom) / rows];
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const value = data.z[i][j];
      if (value === null || !Number.isFinite(value)) continue;
      const text = value.toFixed(digits); // with a hyphen, as plotly writes it
      const x = axes.left + Math.round(left + (j + 0.5) * dx - axes.left);
      const y = axes.top + Math.round(bottom + (i + 0.5) * dy - axes.top);
      context.fillText(text, x, y + drop);
    }
  }
}

/** 256 colours of a scale of CSS colours, as pixels. @param {[number, string][]} scale */
function palette(scale) {
  const key = JSON.stringify(scale);
  const made = palettes.get(key);
  if (made) return made;
  /** @type {[number, number[]][]} */
  const stops = scale.map(([at, colour]) => [at, channels(colour)]);
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
  const colours = new Uint32Array(bytes.buffer);
  palettes.set(key, colours);
  return colours;
}
