// @ts-check
/**
 * A field that leaves of the page of symptoms what holds all of its words, or else most of them: a
 * message that is pasted brings numbers and names of layers of its own. Without a script there is
 * no field, and the page shows everything.
 */
const place = document.querySelector(".bnviz-filter");
const entries = [...document.querySelectorAll("section.bnviz-trouble")].map((section) => ({
  section: /** @type {HTMLElement} */ (section),
  text: (section.textContent ?? "").toLowerCase(),
}));
const kinds = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("section.bnviz-troubles")]);
const input = document.createElement("input");
const said = document.createElement("p");
const NEARLY = 0.75; // of the best score; an entry below it has other things in common

/** The words of a text, without numbers, as the site's search takes them. @param {string} text */
function wordsOf(text) {
  const words = text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];
  return [...new Set(words)].filter((word) => !/^\d+$/.test(word));
}

/**
 * How well each entry fits: a word counts the more, the fewer entries hold it, by the logarithm,
 * so that one rare name of the reader's does not outweigh the rest.
 * @param {string[]} words
 */
function scores(words) {
  const total = entries.map(() => 0);
  for (const word of words) {
    const holds = entries.map(({ text }) => text.includes(word));
    const rare = Math.log(entries.length / Math.max(1, holds.filter(Boolean).length));
    for (const [k, held] of holds.entries()) total[k] = (total[k] ?? 0) + (held ? rare : 0);
  }
  return total;
}

/** Show the entries with all words; if there are none, those that come nearest. */
function filter() {
  const words = wordsOf(input.value);
  const all = entries.map(({ text }) => words.every((word) => text.includes(word)));
  const some = all.includes(true);
  const score = some ? [] : scores(words);
  const best = Math.max(0, ...score);
  const shown = entries.map((_, k) => (some ? all[k] : best > 0 && (score[k] ?? 0) >= NEARLY * best));
  for (const [k, { section }] of entries.entries()) section.hidden = !shown[k];
  for (const kind of kinds) kind.hidden = !kind.querySelector(".bnviz-trouble:not([hidden])");
  const number = shown.filter(Boolean).length;
  const nearly = some || number === 0 ? "" : ", none with all of these words";
  said.textContent = `${number} of ${entries.length} symptoms${nearly}`;
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
  label.textContent = "Only symptoms with these words; paste a message, if you have one";
  input.type = "search";
  input.name = "symptom";
  input.addEventListener("input", filter);
  said.setAttribute("role", "status");
  label.append(input);
  place.append(label, said);
  addEventListener("hashchange", release);
  filter();
}
