// @ts-check
/** Controls as native elements, from the same typed table that the Jupyter host reads. */
import { formatNumber } from "./format.js";

/**
 * @typedef {import("./spec").FigureSpec["controls"][number]} ControlSpec
 * @typedef {import("./spec").SliderSpec} SliderSpec
 */

/**
 * From a value to its position; the way back is the table of stops.
 * @type {Record<SliderSpec["scale"], (value: number) => number>}
 */
const POSITION = {
  linear: (value) => value,
  log10: Math.log10,
  log2: Math.log2,
};

/**
 * A small helper for elements.
 * @param {string} tag @param {Record<string, any>} attributes @param {(string | Node)[]} children
 * @returns {any}
 */
export function element(tag, attributes = {}, ...children) {
  const node = /** @type {any} */ (document.createElement(tag));
  for (const [name, value] of Object.entries(attributes)) {
    if (name in node && name !== "list") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** A button after what went wrong. @param {HTMLElement} note @param {() => void} act */
export function offerRetry(note, act) {
  const retry = element("button", { type: "button", name: "retry" }, "Try again");
  retry.addEventListener("click", act);
  note.append(retry);
}

export class Controls {
  /**
   * @param {string} figure name of the figure, for ids
   * @param {ControlSpec[]} table the controls
   * @param {(control: ControlSpec) => void} changed called after a reader moved one
   */
  constructor(figure, table, changed) {
    this.table = table;
    this.changed = changed;
    /** @type {Record<string, any>} */
    this.inputs = {};
    /** @type {Record<string, HTMLInputElement>} values beside sliders */
    this.typed = {};
    /** @type {Record<string, HTMLOutputElement>} behind them */
    this.notes = {};
    this.root = element("div", { className: "bnviz-controls" });
    for (const control of table) this.root.append(this.row(figure, control));
    this.reset();
  }

  /** @param {string} figure @param {ControlSpec} control */
  row(figure, control) {
    const id = `${figure}-${control.name}`;
    const input = this.input(control, id);
    this.inputs[control.name] = input;
    input.addEventListener(control.kind === "slider" ? "input" : "change", () => this.moved(control));
    const label = element("label", { htmlFor: id }, control.label);
    if (control.kind === "toggle") {
      return element("div", { className: "bnviz-control bnviz-toggle" }, input, label);
    }
    const head = element("div", { className: "bnviz-label" }, label);
    if (control.kind === "slider") {
      this.typed[control.name] = this.field(control);
      this.notes[control.name] = element("output", { htmlFor: id });
      head.append(element("span", {}, this.typed[control.name], this.notes[control.name]));
    }
    return element("div", { className: "bnviz-control" }, head, input);
  }

  /** One more, which is no control of the figure. @param {string} label @param {HTMLElement} input */
  add(label, input) {
    this.root.append(element("label", { className: "bnviz-control" }, label, input));
  }

  /** @param {ControlSpec} control @param {string} id */
  input(control, id) {
    if (control.kind === "slider") return this.slider(control, id);
    return control.kind === "choice" ? this.choice(control, id) : this.toggle(control, id);
  }

  /** @param {SliderSpec} control @param {string} id */
  slider(control, id) {
    const position = POSITION[control.scale];
    const input = element("input", { type: "range", id, name: control.name });
    input.min = String(position(control.min));
    input.max = String(position(control.max));
    input.step = String(control.step);
    return input;
  }

  /** The value beside a slider, where another can be typed. @param {SliderSpec} control */
  field(control) {
    const field = element("input", { type: "text", inputMode: "decimal", className: "bnviz-value" });
    field.setAttribute("aria-label", `${control.label}, type a value`);
    field.title = `${formatNumber(control.min, ".6g")} to ${formatNumber(control.max, ".6g")}`;
    field.addEventListener("change", () => {
      const before = this.inputs[control.name].value;
      this.set(control.name, field.value.trim().replace(",", ".").replace("−", "-"));
      if (this.inputs[control.name].value !== before) this.moved(control);
    });
    return field;
  }

  /** @param {import("./spec").ChoiceSpec} control @param {string} id */
  choice(control, id) {
    const options = control.options.map((value) => element("option", { value }, value));
    return element("select", { id, name: control.name }, ...options);
  }

  /** @param {import("./spec").ToggleSpec} control @param {string} id */
  toggle(control, id) {
    return element("input", { type: "checkbox", id, name: control.name });
  }

  /** @param {ControlSpec} control */
  moved(control) {
    if (control.kind === "slider" && control.switches_on) this.inputs[control.switches_on].checked = true;
    this.label(control);
    this.changed(control);
  }

  /** Write a value next to its slider, and as what a screen reader says. @param {ControlSpec} control */
  label(control) {
    if (control.kind !== "slider") return;
    const value = this.stop(control);
    const text = formatNumber(value, control.format);
    const other = formatNumber(1 - value, control.format);
    const note = control.note ? ` (${control.note.replace("{other}", other)})` : "";
    this.typed[control.name].value = text;
    this.typed[control.name].size = Math.max(3, text.length);
    this.notes[control.name].textContent = note;
    this.inputs[control.name].setAttribute("aria-valuetext", text + note);
  }

  /**
   * The value of a control: a number, an option or true/false.
   * @param {ControlSpec} control @returns {number | string | boolean}
   */
  value(control) {
    const input = this.inputs[control.name];
    if (control.kind === "choice") return input.value;
    return control.kind === "toggle" ? input.checked : this.stop(control);
  }

  /** Where a slider stands. @param {SliderSpec} control @returns {number} */
  stop(control) {
    const input = this.inputs[control.name];
    const k = Math.round((Number(input.value) - Number(input.min)) / control.step);
    return control.stops[Math.min(Math.max(k, 0), control.stops.length - 1)];
  }

  /**
   * Put a value in place; what does not fit is clamped, what makes no sense is left alone.
   * @param {string} name @param {any} value
   */
  set(name, value) {
    const control = this.table.find((c) => c.name === name);
    if (!control) return;
    const input = this.inputs[name];
    if (control.kind === "choice") {
      if (control.options.includes(value)) input.value = value;
    } else if (control.kind === "toggle") {
      /** @type {Record<string, boolean>} */
      const known = { true: true, 1: true, false: false, 0: false };
      if (Object.hasOwn(known, String(value))) input.checked = known[String(value)];
    } else if (String(value).trim() !== "" && Number.isFinite(Number(value))) {
      const inside = Math.min(Math.max(Number(value), control.min), control.max);
      input.value = String(POSITION[control.scale](inside));
    }
    this.label(control);
  }

  /** Start values. */
  reset() {
    for (const control of this.table) this.set(control.name, control.value);
  }

  /** What the functions get: one number per control, in order. @returns {number[]} */
  numbers() {
    return this.table.map((control) => {
      const value = this.value(control);
      if (control.kind === "choice") return control.options.indexOf(String(value));
      return Number(value);
    });
  }

  /** Values that differ from the start, for a link. @returns {[string, string][]} */
  differing() {
    const moved = this.table.filter((control) => {
      const value = this.value(control);
      const number = typeof value === "number" && typeof control.value === "number";
      return number ? Math.abs(value - control.value) > 1e-9 : value !== control.value;
    });
    return moved.map((control) => {
      const value = this.value(control);
      return [control.name, typeof value === "number" ? formatNumber(value, ".6g") : String(value)];
    });
  }
}
