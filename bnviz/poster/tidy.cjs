// @ts-check
/** plotly.js's SVG without what nobody sees. */

/** Elements without anything in them; a group is empty once its members are gone. */
const EMPTY = /<(g|defs|path|text)\b(?![^>]*\sd=)[^>]*\/>|<(g|defs|text)\b[^>]*><\/\2>/g;
const CLIP = /<clipPath\b[^>]*\bid="([^"]*)"[^>]*>.*?<\/clipPath>/g;
const RECTANGLE = /<rect\b[^>]*\/>/g;
const TAG = /<[^>]*>/g;
const GEOMETRY = /\s(d|x|y|x1|x2|y1|y2|width|height|transform)="[^"]*"/g;
/** What holds anyway, and numbers by which plotly.js finds its elements. */
const ANYWAY = /\s(style="(opacity: 1;)?"|data-notex="1"|data-index="\d+")|(?<=["\s])((fill|stroke)-)?opacity: 1;\s?/g;

/** @param {string} svg @param {string} fonts of most texts, as CSS @returns {string} */
function tidy(svg, fonts) {
  const family = fonts.replace(/['"]/g, ""); // so writes jsdom
  const used = new Set([...svg.matchAll(/url\(#([^)]*)\)/g)].map(([, id]) => id));
  let text = svg
    .replace(CLIP, (clip, id) => (used.has(id) ? clip : ""))
    .replace(RECTANGLE, (rect) => (invisible(rect) ? "" : rect))
    .replace(TAG, (tag) => short(tag, family));
  for (let before = ""; before !== text; ) {
    before = text;
    text = text.replace(EMPTY, "");
  }
  return text.replace("<svg ", `<svg font-family="${family}" `);
}

/** @param {string} tag @param {string} family */
function short(tag, family) {
  return tag
    .replace(GEOMETRY, (attribute) => attribute.replace(/-?\d*\.\d{3,}(e-?\d+)?/g, rounded))
    .replace(`font-family: ${family}; `, "")
    .replace(ANYWAY, "");
}

/** Hundredths of a pixel will do. @param {string} number */
const rounded = (number) => `${Math.round(100 * Number(number)) / 100}`;

/** @param {string} rect that lets through what is behind it, and has no edge */
function invisible(rect) {
  const edge = /stroke-width: (?!0)/.test(rect) && !/stroke-opacity: 0;/.test(rect);
  return /fill-opacity: 0;/.test(rect) && !edge;
}

module.exports = { tidy };
