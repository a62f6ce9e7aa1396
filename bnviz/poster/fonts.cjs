// @ts-check
/** The letters of posters: Arimo, whose metrics are Arial's, and DejaVu Sans for what it lacks. */
const fs = require("node:fs");
const opentype = require("opentype.js");

const ARIMO = "@expo-google-fonts/arimo/";
const DEJAVU = "dejavu-fonts-ttf/ttf/";
/** @typedef {"plain" | "bold"} Face */
/** The font that has a letter first draws it. */
const FONTS = {
  plain: [`${ARIMO}400Regular/Arimo_400Regular.ttf`, `${DEJAVU}DejaVuSans.ttf`].map(lazily),
  bold: [`${ARIMO}700Bold/Arimo_700Bold.ttf`, `${DEJAVU}DejaVuSans-Bold.ttf`].map(lazily),
};
const NAMES = ["Arimo", "DejaVu Sans"];

/** A font that is read when it is first asked for: that takes a tenth of a second. @param {string} name */
function lazily(name) {
  const file = require.resolve(name);
  /** @type {any} */
  let font = null;
  return {
    file,
    get font() {
      return (font ??= opentype.parse(new Uint8Array(fs.readFileSync(file)).buffer));
    },
  };
}

/** Which font of a face draws a letter. @param {string} letter @param {Face} face */
function fontOf(letter, face) {
  const found = FONTS[face].findIndex(({ font }) => font.charToGlyphIndex(letter));
  return Math.max(found, 0);
}

/** Width of a text whose letters are one pixel high, with its kerning. @param {string} text @param {Face} face */
function width(text, face) {
  let sum = 0;
  /** @type {{font: any, glyph: any} | null} */
  let last = null;
  for (const letter of text) {
    if (letter === "\u200b") continue; // plotly's mark between an index and what follows it
    const { font } = FONTS[face][fontOf(letter, face)];
    const glyph = font.charToGlyph(letter);
    if (last && last.font === font) sum += font.getKerningValue(last.glyph, glyph) / font.unitsPerEm;
    sum += glyph.advanceWidth / font.unitsPerEm;
    last = { font, glyph };
  }
  return sum;
}

const FILES = Object.values(FONTS).flatMap((fonts) => fonts.map(({ file }) => file));

module.exports = { FILES, NAMES, fontOf, width };
