// @ts-check
/** Marker symbols as paths, of the size that plotly gives them, and CSS colours as numbers. */

/**
 * Begin a context's path anew with a symbol. (A Path2D for each would be garbage by the next frame.)
 * @param {CanvasRenderingContext2D} path
 * @param {string} name a plotly symbol; one that is not known becomes a circle
 * @param {[number, number]} point its middle, in pixels
 * @param {number} size its diameter
 */
export function symbol(path, name, [x, y], size) {
  path.beginPath();
  const r = size / 2;
  switch ((name ?? "circle").replace("-open", "")) {
    case "square":
      path.rect(x - r, y - r, size, size);
      break;
    case "diamond":
      polygon(path, [[x + 1.3 * r, y], [x, y + 1.3 * r], [x - 1.3 * r, y], [x, y - 1.3 * r]]);
      break;
    case "triangle-up":
      polygon(path, [[x - 1.15 * r, y + 0.58 * r], [x + 1.15 * r, y + 0.58 * r], [x, y - 1.15 * r]]);
      break;
    case "x":
      cross(path, x, y, r);
      break;
    default:
      path.arc(x, y, r, 0, 2 * Math.PI);
  }
}

/** @param {CanvasRenderingContext2D} path @param {number[][]} corners */
function polygon(path, corners) {
  corners.forEach(([x, y], k) => (k ? path.lineTo(x, y) : path.moveTo(x, y)));
  path.closePath();
}

/**
 * A fat x: the outline of two crossed bars.
 * @param {CanvasRenderingContext2D} path @param {number} x @param {number} y @param {number} r
 */
function cross(path, x, y, r) {
  const [a, b] = [r, 0.45 * r];
  const outline = [[-a, -b], [-b, -a], [0, -a + b], [b, -a], [a, -b], [a - b, 0], [a, b], [b, a]];
  polygon(path, [...outline, [0, a - b], [-b, a], [-a, b], [-a + b, 0]].map(([u, v]) => [x + u, y + v]));
}

/** @param {string} colour "#rrggbb", "rgb(...)" or "rgba(...)" @returns {number[]} 0 to 255, alpha 0 to 1 */
export function channels(colour) {
  if (colour.startsWith("#")) {
    return [...[1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16)), 1];
  }
  const numbers = (colour.match(/[\d.]+/g) ?? [0, 0, 0]).map(Number);
  return [...numbers, 1].slice(0, 4);
}
