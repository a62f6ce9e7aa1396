// @ts-check
/** An SVG of plotly's as PNG by resvg, with fonts that come along: no system's fonts are asked. */
const { Resvg } = require("@resvg/resvg-js");
const { partsOfText } = require("./boxes.cjs");
const { FILES, NAMES, fontOf } = require("./fonts.cjs");

const FONT = { fontFiles: FILES, loadSystemFonts: false, defaultFontFamily: NAMES[0], sansSerifFamily: NAMES[0] };

/** @param {string} svg @param {number} wide pixels @param {any} window @returns {Buffer} on white */
function png(svg, wide, window) {
  const root = new window.DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
  opacitiesIntoPaints(root);
  for (const text of root.querySelectorAll("text")) namedFonts(text);
  for (const image of root.querySelectorAll("image")) image.setAttribute("image-rendering", "optimizeSpeed");
  const picture = root.outerHTML.replaceAll("image-rendering: pixelated", ""); // CSS that resvg does not know
  const options = { background: "white", fitTo: { mode: /** @type {const} */ ("width"), value: wide }, font: FONT };
  return new Resvg(picture, options).render().asPng();
}

/**
 * A shape or a group that is transparent as a whole needs a layer, and for one beside a curve that
 * leaves the picture resvg ends the process.
 * @param {Element} root
 */
function opacitiesIntoPaints(root) {
  for (const element of /** @type {NodeListOf<SVGElement>} */ (root.querySelectorAll("[style*=opacity]"))) {
    const opacity = element.style.getPropertyValue("opacity");
    if (!opacity || element.localName === "image") continue;
    element.style.removeProperty("opacity");
    /** @type {Iterable<SVGElement>} */
    const shapes = element.localName === "g" ? element.querySelectorAll("path, rect, text") : [element];
    for (const { style } of shapes) {
      for (const paint of ["fill-opacity", "stroke-opacity"]) {
        style.setProperty(paint, `${Number(opacity) * Number(style.getPropertyValue(paint) || 1)}`);
      }
    }
  }
}

/**
 * For one letter that its font lacks, resvg takes another font for all letters that hang together.
 * So each stretch of letters of one font gets a place of its own.
 * @param {Element} text
 */
function namedFonts(text) {
  if (![...(text.textContent ?? "")].some((letter) => fontOf(letter, "plain"))) return;
  const stretches = leaves(text).flatMap((leaf) => {
    const parts = stretchesOf(leaf.data).map(([font, letters]) => {
      const part = text.ownerDocument.createElementNS(text.namespaceURI, "tspan");
      part.setAttribute("style", `font-family: ${NAMES[font]}`);
      part.textContent = letters;
      return /** @type {SVGElement} */ (part);
    });
    leaf.replaceWith(...parts);
    return parts;
  });
  partsOfText(text).forEach(([left], k) => {
    stretches[k].setAttribute("x", `${left}`);
    stretches[k].style.setProperty("text-anchor", "start");
  });
}

/** @param {Node} node @returns {Text[]} all text in it */
function leaves(node) {
  return node.nodeType === 3 ? [/** @type {Text} */ (node)] : [...node.childNodes].flatMap(leaves);
}

/** @param {string} text @returns {[number, string][]} fonts, each with letters that follow each other */
function stretchesOf(text) {
  /** @type {[number, string][]} */
  const found = [];
  for (const letter of text) {
    const font = fontOf(letter, "plain");
    const last = found[found.length - 1];
    if (last?.[0] === font) last[1] += letter;
    else found.push([font, letter]);
  }
  return found;
}

module.exports = { png };
