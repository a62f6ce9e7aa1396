// @ts-check
/** The canvas into which plotly.js paints the cells of a heatmap: jsdom has none. */
const zlib = require("node:zlib");

/** A colour of plotly's as four bytes. @param {string} colour "rgb(...)", "rgba(...)" */
function bytes(colour) {
  const numbers = (colour.match(/-?[\d.]+(e-?\d+)?/g) ?? []).map(Number);
  if (!colour.startsWith("rgb") || numbers.length < 3) throw new Error(`no canvas knows the colour ${colour}`);
  const [r, g, b, alpha = 1] = numbers;
  return [r, g, b, Math.round(255 * alpha)];
}

/** One drawing surface: what plotly calls of a 2D context. */
class Context {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.fillStyle = "rgb(0,0,0)";
    this.pixels = new Uint8ClampedArray(4 * canvas.width * canvas.height);
  }

  /** Set these pixels; plotly's cells stand side by side, so nothing is mixed. @param {number} x @param {number} y @param {number} wide @param {number} high */
  fillRect(x, y, wide, high) {
    const { width, height } = this.canvas;
    const colour = bytes(this.fillStyle);
    const [left, right] = [x, x + wide].sort((a, b) => a - b).map((v) => Math.min(Math.max(Math.round(v), 0), width));
    const [top, bottom] = [y, y + high].sort((a, b) => a - b).map((v) => Math.min(Math.max(Math.round(v), 0), height));
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) this.pixels.set(colour, 4 * (row * width + column));
    }
  }

  /** @param {number} width @param {number} height */
  createImageData(width, height) {
    return { width, height, data: new Uint8ClampedArray(4 * width * height) };
  }

  /** @param {{width: number, data: Uint8ClampedArray}} image as large as the canvas */
  putImageData(image) {
    this.pixels.set(image.data);
  }
}

/** One part of a PNG file. @param {string} name @param {Buffer} data */
function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(zlib.crc32(body));
  return Buffer.concat([length, body, check]);
}

/** @param {Uint8ClampedArray} pixels @param {number} width @param {number} height @returns {Buffer} a PNG file */
function png(pixels, width, height) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head.set([8, 6], 8); // eight bits each of red, green, blue, alpha
  const rows = Buffer.alloc(height * (4 * width + 1)); // each row begins with a 0: stored as it is
  for (let row = 0; row < height; row++) {
    rows.set(pixels.subarray(4 * row * width, 4 * (row + 1) * width), row * (4 * width + 1) + 1);
  }
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", head),
    chunk("IDAT", zlib.deflateSync(rows, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** Give a window's canvases something to paint on. @param {any} window */
function canvases(window) {
  const contexts = new WeakMap();
  window.HTMLCanvasElement.prototype.getContext = function (/** @type {string} */ kind) {
    if (kind !== "2d") return null;
    if (!contexts.has(this)) contexts.set(this, new Context(this));
    return contexts.get(this);
  };
  window.HTMLCanvasElement.prototype.toDataURL = function () {
    const { pixels } = this.getContext("2d");
    return `data:image/png;base64,${png(pixels, this.width, this.height).toString("base64")}`;
  };
}

module.exports = { canvases };
