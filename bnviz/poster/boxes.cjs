// @ts-check
/**
 * How large is what stands in an SVG? A browser knows; jsdom, which has no layout, does not, and
 * plotly.js asks for it to make room for ticks, titles, legends and notes.
 *
 * A reader's browser draws other fonts than `fonts.cjs`, about as wide. Where a text stands it
 * decides itself: texts are anchored.
 */
const { width } = require("./fonts.cjs");

/** @typedef {[left: number, top: number, right: number, bottom: number]} Box */
/** @typedef {[a: number, b: number, c: number, d: number, e: number, f: number]} Matrix */
/** @typedef {{size: number, bold: boolean, anchor: string}} Look */

/** @param {Element} element @param {string} name an SVG property, as style or as attribute */
function property(element, name) {
  const style = /** @type {SVGElement} */ (element).style;
  return style?.getPropertyValue(name) || element.getAttribute(name) || "";
}

/** What text in an element looks like, given its parent's look. @param {Element} element @param {Look} outer @returns {Look} */
function lookOf(element, outer) {
  const size = property(element, "font-size");
  const weight = property(element, "font-weight");
  return {
    size: size.endsWith("%") ? (outer.size * parseFloat(size)) / 100 : parseFloat(size) || outer.size,
    bold: weight ? weight === "bold" || Number(weight) >= 600 : outer.bold,
    anchor: property(element, "text-anchor") || outer.anchor,
  };
}

/** @param {Element} element @returns {Look} */
function inherited(element) {
  const outer = element.parentElement ? inherited(element.parentElement) : { size: 16, bold: false, anchor: "start" };
  return lookOf(element, outer);
}

/** A coordinate, in pixels or in parts of the letters' size. @param {string} value @param {number} size */
const pixels = (value, size) => parseFloat(value) * (value.endsWith("em") ? size : 1);

/**
 * The boxes of the parts of a text, line by line. As browsers do it, ascent and descent count in
 * whole pixels; an own x begins a part that is anchored by itself.
 * @param {Element} text @returns {Box[]}
 */
function partsOfText(text) {
  const pen = { x: 0, y: 0 };
  /** @type {{anchor: string, boxes: Box[]}[]} */
  const lines = [];
  /** @param {Element} element @param {Look} look */
  const walk = (element, look) => {
    for (const key of /** @type {const} */ (["x", "y"])) {
      const at = element.getAttribute(key);
      if (at !== null) pen[key] = pixels(at, look.size);
      pen[key] += pixels(element.getAttribute(`d${key}`) ?? "0", look.size);
    }
    if (element === text || element.hasAttribute("x")) lines.push({ anchor: look.anchor, boxes: [] });
    for (const child of element.childNodes) {
      if (child.nodeType === 1) {
        const inner = /** @type {Element} */ (child);
        walk(inner, lookOf(inner, look));
      } else if (child.nodeType === 3 && child.textContent) {
        const wide = look.size * width(child.textContent, look.bold ? "bold" : "plain");
        const [up, down] = [Math.round(0.905 * look.size), Math.round(0.212 * look.size)];
        lines[lines.length - 1].boxes.push([pen.x, pen.y - up, pen.x + wide, pen.y + down]);
        pen.x += wide;
      }
    }
  };
  walk(text, inherited(text));
  return lines.flatMap(({ anchor, boxes }) => {
    const wide = boxes.reduce((sum, [left, , right]) => sum + right - left, 0);
    const shift = { middle: wide / 2, end: wide }[anchor] ?? 0;
    return boxes.map(([left, top, right, bottom]) => /** @type {Box} */ ([left - shift, top, right - shift, bottom]));
  });
}

/** How many numbers follow a command of a path, and which of them are its end. */
const COUNTS = { M: 2, L: 2, H: 1, V: 1, T: 2, C: 6, S: 4, Q: 4, A: 7, Z: 0 };

/** The box of a path's corners; its bows are taken as straight. @param {string} d @returns {Box[]} */
function boxesOfPath(d) {
  /** @type {Box[]} */
  const points = [];
  let [x, y] = [0, 0];
  for (const [, letter, rest] of d.matchAll(/([a-zA-Z])([^a-zA-Z]*)/g)) {
    const name = /** @type {keyof typeof COUNTS} */ (letter.toUpperCase());
    const numbers = (rest.match(/-?(\d+\.?\d*|\.\d+)(e-?\d+)?/g) ?? []).map(Number);
    const from = letter === name ? [0, 0] : null; // small letters count from where the pen stands
    for (let k = 0; COUNTS[name] && k + COUNTS[name] <= numbers.length; k += COUNTS[name]) {
      const end = numbers.slice(k, k + COUNTS[name]).slice(-2);
      const [dx, dy] = from ?? [x, y];
      if (name === "H") x = dx + end[0];
      else if (name === "V") y = dy + end[0];
      else [x, y] = [dx + end[0], dy + end[1]];
      points.push([x, y, x, y]);
    }
  }
  return points;
}

/** @param {Matrix} m @param {Matrix} n @returns {Matrix} first n, then m */
const times = ([a, b, c, d, e, f], n) => [
  a * n[0] + c * n[1],
  b * n[0] + d * n[1],
  a * n[2] + c * n[3],
  b * n[2] + d * n[3],
  a * n[4] + c * n[5] + e,
  b * n[4] + d * n[5] + f,
];

/** @type {Record<string, (...v: number[]) => Matrix>} */
const TRANSFORMS = {
  matrix: (a, b, c, d, e, f) => [a, b, c, d, e, f],
  translate: (x, y = 0) => [1, 0, 0, 1, x, y],
  scale: (x, y = x) => [x, 0, 0, y, 0, 0],
  rotate: (angle, x = 0, y = 0) => {
    const [c, s] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
    return [c, s, -s, c, x - c * x + s * y, y - s * x - c * y];
  },
};

/** The matrix of an element's `transform`. @param {Element} element @returns {Matrix} */
function matrixOf(element) {
  /** @type {Matrix} */
  let matrix = [1, 0, 0, 1, 0, 0];
  for (const [, name, inside] of (element.getAttribute("transform") ?? "").matchAll(/(\w+)\(([^)]*)\)/g)) {
    matrix = times(matrix, TRANSFORMS[name](...inside.trim().split(/[\s,]+/).map(Number)));
  }
  return matrix;
}

/** @param {Box} box @param {Matrix} matrix @returns {Box} around the turned box */
function moved([left, top, right, bottom], [a, b, c, d, e, f]) {
  const corners = [[left, top], [right, top], [left, bottom], [right, bottom]]; // prettier-ignore
  return around(corners.map(([x, y]) => [a * x + c * y + e, b * x + d * y + f, a * x + c * y + e, b * x + d * y + f]));
}

/** @param {Box[]} boxes @returns {Box} around all of them */
function around(boxes) {
  if (!boxes.length) return [0, 0, 0, 0];
  const [left, top, right, bottom] = [0, 1, 2, 3].map((k) => boxes.map((box) => box[k]));
  return [Math.min(...left), Math.min(...top), Math.max(...right), Math.max(...bottom)];
}

/** The boxes in an element, in the coordinates that hold inside it. @param {Element} element @returns {Box[]} */
function boxes(element) {
  const number = (/** @type {string} */ name) => parseFloat(element.getAttribute(name) ?? "0") || 0;
  switch (element.localName) {
    case "text":
      return partsOfText(element);
    case "path":
      return boxesOfPath(element.getAttribute("d") ?? "");
    case "rect":
    case "image": {
      const [x, y] = [number("x"), number("y")];
      return [[x, y, x + number("width"), y + number("height")]];
    }
    case "g":
    case "a":
    case "svg":
      return [...element.children].flatMap((child) => boxes(child).map((box) => moved(box, matrixOf(child))));
    default:
      return []; // clip paths, gradients
  }
}

/**
 * Where one is after going a way along a path of straight lines, or at its end: an arrow's head asks.
 * @param {Element} path @param {number} way
 */
function along(path, way) {
  const points = boxesOfPath(path.getAttribute("d") ?? "");
  let length = 0;
  for (let k = 1; k < points.length; k++) {
    const [[x, y], [right, down]] = [points[k - 1], points[k]];
    const step = Math.hypot(right - x, down - y);
    if (way <= length + step) {
      const part = step && (way - length) / step;
      return { x: x + part * (right - x), y: y + part * (down - y), length: way };
    }
    length += step;
  }
  const [x, y] = points[points.length - 1];
  return { x, y, length };
}

/** @param {Box} box in the shape of a DOMRect */
const rectangle = ([left, top, right, bottom]) =>
  ({ x: left, y: top, left, top, right, bottom, width: right - left, height: bottom - top });

/** Give a window's elements the methods that measure. @param {any} window */
function measure(window) {
  const { prototype } = window.SVGElement;
  prototype.getBBox = function () {
    return rectangle(around(boxes(this)));
  };
  prototype.getBoundingClientRect = prototype.getBBox; // plotly.js asks copies, which are not moved
  prototype.getTotalLength = function () {
    return along(this, Infinity).length;
  };
  prototype.getPointAtLength = function (/** @type {number} */ way) {
    return along(this, way);
  };
}

module.exports = { measure, partsOfText };
