// @ts-check
/** The part of Python's format language that labels and readouts use: .Nf .Ne .Ng .N% d, and words. */

/** @param {number} value @param {string} spec @returns {string} */
export function formatNumber(value, spec) {
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value > 0 ? "infinite" : "minus infinite";
  if (spec.startsWith("|")) return word(value, spec.slice(1).split("|"));
  const match = /^(?:\.(\d+))?([feg%d])$/.exec(spec);
  if (!match) return String(value);
  const digits = Number(match[1] ?? 6);
  /** @type {Record<string, () => string>} */
  const written = {
    f: () => fixed(value, digits),
    d: () => fixed(value, 0),
    "%": () => `${fixed(100 * value, digits)}%`,
    e: () => exponential(value, digits),
    g: () => general(value, digits),
  };
  const text = written[match[2]]();
  return text.replace(/^-(0(?:\.0*)?%?)$/, "$1");
}

/** "|none|one|many": a word for each of 0, 1, 2, ... @param {number} value @param {string[]} words */
function word(value, words) {
  return words[Math.min(Math.max(Number(fixed(value, 0)), 0), words.length - 1)];
}

/** toFixed, but a tie goes to the even digit, as in Python. @param {number} value @param {number} digits */
function fixed(value, digits) {
  const text = value.toFixed(digits);
  if (!isOddTie(text, value.toFixed(digits + 40))) return text;
  return (value - Math.sign(value) * 10 ** -digits * 0.6).toFixed(digits);
}

/** 1e-5 as Python writes it: 1e-05; ties as above. @param {number} value @param {number} digits */
function exponential(value, digits) {
  let text = value.toExponential(digits);
  const [mantissa, power] = text.split("e");
  if (isOddTie(mantissa, value.toExponential(digits + 40).split("e")[0])) {
    text = (value - Math.sign(value) * 10 ** (Number(power) - digits) * 0.6).toExponential(digits);
  }
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

/**
 * Was exactly half a digit rounded up to an odd one? `long` shows 40 more digits, all there are.
 * @param {string} text @param {string} long
 */
function isOddTie(text, long) {
  return /^50*$/.test(long.slice(-40)) && Number(text[text.length - 1]) % 2 === 1;
}

/** @param {number} value @param {number} digits */
function general(value, digits) {
  const precision = Math.max(1, digits);
  const exponent = value === 0 ? 0 : Number(value.toExponential(precision - 1).split("e")[1]);
  if (exponent < -4 || exponent >= precision) {
    const [mantissa, power] = exponential(value, precision - 1).split("e");
    return `${mantissa.replace(/\.?0+$/, "")}e${power}`;
  }
  const text = value.toFixed(Math.max(0, precision - 1 - exponent));
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A number of Python's format language as it stands in a sentence: -1.5e-05 is −1.5 × 10⁻⁵. @param {string} text */
export function typeset(text) {
  const power = /^(-?)([\d.]+)e([+-]\d+)$/.exec(text);
  if (power) {
    const [, sign, mantissa, exponent] = power;
    if (Number(mantissa) === 0) return "0";
    const raised = String(Number(exponent)).replace(/./g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(c)]));
    const factor = mantissa === "1" ? "" : `${mantissa} × `;
    text = sign + (Number(exponent) ? `${factor}10${raised}` : mantissa);
  }
  return text.replace(/^-/, "−");
}

/**
 * Fill "{mean:.2f}" and "{means[4]:.1f}" from numbers and arrays.
 * @param {string} template @param {Record<string, number | ArrayLike<number>>} values
 */
export function fill(template, values) {
  return template.replace(/\{(\w+)(?:\[(\d+)\])?(?::([^}]*))?\}/g, (_, name, index, spec) => {
    const value = values[name];
    if (value === undefined) return "…";
    const number = typeof value === "number" ? value : value[Number(index ?? 0)];
    return typeset(formatNumber(number, spec ?? ""));
  });
}
