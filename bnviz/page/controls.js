// @ts-check
/** Controls as native elements, from the same typed table that the Jupyter host reads. */
import { formatNumber } from "./format.js";

/** From a value to its position; the way back is the table of stops. */
const POSITION = {
  linear: (value) => value,
  log10: Math.log10,
  log2: Math.log2,
};

/** A small helper for elements. @returns {any} */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
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
   * @param {any[]} table the controls
   * @param {(control: any) => void} changed called after a reader moved one
   */
  constructor(figure, table, changed) {
    this.table = table;
    this.changed = changed;
    /** @type {Record<string, any>} */
    this.inputs = {};
    this.typed = {};
    this.notes = {};
    this.root = element("div", { className: "bnviz-controls" });
    for (const control of table) this.root.append(this.row(figure, control));
    this.reset();
  }

  row(figure, control) {
    const id = `${figure}-${control.name}`;
    const input = this[control.kind](control, id);
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

  slider(control, id) {
    const position = POSITION[control.scale];
    const input = element("input", { type: "range", id, name: control.name });
    input.min = String(position(control.min));
    input.max = String(position(control.max));
    input.step = String(control.step);
    return input;
  }

  /** The value beside a slider, where another can be typed. */
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

  choice(control, id) {
    const options = control.options.map((value) => element("option", { value }, value));
    return element("select", { id, name: control.name }, ...options);
  }

  toggle(control, id) {
    return element("input", { type: "checkbox", id, name: control.name });
  }

  moved(control) {
    if (control.switches_on) this.inputs[control.switches_on].checked = true;
    this.label(control);
    this.changed(control);
  }

  /** Write a value next to its slider, and as what a screen reader says. */
  label(control) {
    if (control.kind !== "slider") return;
    const value = this.value(control);
    const text = formatNumber(value, control.format);
    const other = formatNumber(1 - value, control.format);
    const note = control.note ? ` (${control.note.replace("{other}", other)})` : "";
    this.typed[control.name].value = text;
    this.typed[control.name].size = Math.max(3, text.length);
    this.notes[control.name].textContent = note;
    this.inputs[control.name].setAttribute("aria-valuetext", text + note);
  }

  /** The value of a control: a number, an option or true/false. */
  value(control) {
    const input = this.inputs[control.name];
    if (control.kind === "choice") return input.value;
    if (control.kind === "toggle") return input.checked;
    const k = Math.round((Number(input.value) - Number(input.min)) / control.step);
    return control.stops[Math.min(Math.max(k, 0), control.stops.length - 1)];
  }

  /** Put a value in place; what does not fit is clamped, what makes no sense is left alone. */
  set(name, value) {
    const control = this.table.find((c) => c.name === name);
    if (!control) return;
    const input = this.inputs[name];
    if (control.kind === "choice") {
      if (control.options.includes(value)) input.value = value;
    } else if (control.kind === "toggle") {
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

  /** What the graphs get: one number per control, in order. @returns {number[]} */
  numbers() {
    return this.table.map((control) => {
      const value = this.value(control);
      if (control.kind === "choice") return control.options.indexOf(value);
      return Number(value);
    });
  }

  /** Values that differ from the start, for a link. @returns {[string, string][]} */
  differing() {
    return this.table
      .filter((c) => Math.abs(Number(this.value(c)) - Number(c.value)) > 1e-9 || (c.kind === "choice" && this.value(c) !== c.value))
      .map((c) => [c.name, typeof this.value(c) === "number" ? formatNumber(this.value(c), ".6g") : String(this.value(c))]);
  }
}
