// @ts-check
/**
 * A field that leaves of the page of symptoms only what holds all of its words. Without a script
 * there is no field, and the page shows everything.
 */
const place = document.querySelector(".bnviz-filter");
const entries = [...document.querySelectorAll("section.bnviz-trouble")].map((section) => ({
  section: /** @type {HTMLElement} */ (section),
  text: plain(section.textContent ?? ""),
}));
const kinds = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("section.bnviz-troubles")]);
const input = document.createElement("input");
const said = document.createElement("p");

/** Words as they are compared: without case, and with single spaces. @param {string} text */
function plain(text) {
  return text.toLowerCase().replaceAll(/\s+/g, " ").trim();
}

/** Show the entries that hold every word of the field. */
function filter() {
  const words = plain(input.value).split(" ");
  let shown = 0;
  for (const { section, text } of entries) {
    section.hidden = !words.every((word) => text.includes(word));
    shown += section.hidden ? 0 : 1;
  }
  for (const kind of kinds) kind.hidden = !kind.querySelector(".bnviz-trouble:not([hidden])");
  said.textContent = `${shown} of ${entries.length} symptoms`;
}

/** A link to an entry must find it, whatever stands in the field. */
function release() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target?.closest("[hidden]")) return;
  input.value = "";
  filter();
  target.scrollIntoView();
}

if (place && entries.length > 0) {
  const label = document.createElement("label");
  label.textContent = "Only symptoms with these words, such as a part of the message";
  input.type = "search";
  input.name = "symptom";
  input.addEventListener("input", filter);
  said.setAttribute("role", "status");
  label.append(input);
  place.append(label, said);
  addEventListener("hashchange", release);
  filter();
}
