// Small helpers: elements from names and children, and texts in the user's language. Text is always set as text.
let catalogue = { language: "en", direction: "ltr", reviewed: true, texts: {} };

let sentences = []; // those of the catalogue with places for values, the longest first: {fixed, words, pattern}

export function useCatalogue(found) {
  catalogue = found;
  sentences = Object.entries(found.texts).filter(([text]) => /\{\w+\}/.test(text)).sort(([one], [other]) => fixed(other) - fixed(one))
    .map(([text, words]) => ({ fixed: fixed(text), words, pattern: new RegExp(`^${text.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{(\w+)\}/g, "(?<$1>(?:(?!; ).)+?)")}$`) }));
  document.documentElement.lang = found.language;
  document.documentElement.dir = found.direction;
}

export function language() { return catalogue.language; }
export function reviewed() { return catalogue.reviewed; }

// t("got {n} frames", {n: 3}): the text in the user's language, English where there is none.
export function t(text, values = {}) {
  const found = catalogue.texts[text] || text;
  return found.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

function fixed(text) { return text.replace(/\{\w+\}/g, "").length; }

// A text that the server gave, in the user's language: as a whole, as a sentence with places for values, or each of its
// parts between semicolons so, a part that lists several things thing by thing. What the catalogue has not stays English,
// marked so for screen readers.
export function said(text) {
  const parts = parted(text);
  if (parts.every(({ words }) => words === null)) return english(text);
  if (parts.length === 1) return parts[0].words;
  return h("span", {}, parts.flatMap(({ one, words }, index) => [index ? "; " : null, words === null ? english(one) : words]));
}

// The same as a string, for what stands within a sentence.
export function worded(text) { return parted(text).map(({ one, words }) => words ?? one).join("; "); }

function parted(text) {
  const words = translated(text);
  if (words !== null) return [{ one: text, words }];
  return text.split("; ").map((one) => ({ one, words: translated(one) ?? listed(one) }));
}

function listed(text) {
  const words = text.split(", ").map((one) => translated(one));
  return words.includes(null) ? null : words.join(", ");
}

// A text with the views that it names in the user's language.
export function located(text) { return text.replace(/\b(OD|OS) ([a-z-]+)/g, (_, eye, view) => `${eye} ${t(view)}`); }

// What went wrong, in words that say what to do; what only a technician needs of it is folded in behind one touch.
export function wrong({ message, technical = "" }) { return [said(message), folded(technical)]; }

export function folded(technical) {
  return technical ? h("details", { class: "technical", "data-k": `technical ${technical}` }, h("summary", {}, t("Technical detail")), english(technical)) : null;
}

function english(text) { return h("span", { lang: "en", dir: "ltr" }, text); }

const SHORTEST = 8; // fixed letters of a sentence that may be taken for one by them

function translated(text, inside = false) {
  const found = catalogue.texts[text];
  if (found || catalogue.language === "en") return found || text;
  for (const { fixed, words, pattern } of sentences) {
    const places = fixed >= SHORTEST || inside ? pattern.exec(text) : null;
    if (places) return words.replace(/\{(\w+)\}/g, (_, name) => valued(places.groups[name]));
  }
  return null;
}

// What stands in a place of a sentence: a view as in "OD nasal", words of their own, or as it is.
function valued(value) {
  const [, eye, view] = /^(OD|OS) (.+)$/.exec(value) || [];
  return eye ? `${eye} ${t(view)}` : translated(value, true) ?? value;
}

export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) handle(element, key.slice(2), value);
    else if (key === "value") element.value = value;
    else if (value === true) element.setAttribute(key, "");
    else element.setAttribute(key, String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A node that stays takes over what the one drawn for it would have done.
function handle(element, event, does) {
  element.does = element.does || {};
  if (!(event in element.does)) element.addEventListener(event, (told) => { if (element.does[event]) element.does[event](told); });
  element.does[event] = does;
}

// What a place shows from now on; nothing, null and false show nothing. What is there already stays and is changed, not
// replaced: else a press that falls between two drawings meets a button that is gone. Things of one subject bear its name
// as `data-k`, so that none ever becomes another's, nor shows another's picture until its own has come; a handler speaks of
// `event.target`, never of a node that was drawn with it.
export function fill(place, ...children) {
  const active = place.contains(document.activeElement) ? document.activeElement.dataset.k : null;
  settle(place, children.flat(2).filter((child) => child !== null && child !== undefined && child !== false && child !== "")
    .map((child) => (child instanceof Node ? child : document.createTextNode(child))));
  const again = active && !place.contains(document.activeElement) ? place.querySelector(`[data-k="${CSS.escape(active)}"]`) : null;
  if (again) again.focus({ preventScroll: true });
}

function settle(place, wanted) {
  const stays = staying([...place.childNodes], wanted);
  const kept = new Set(stays.values());
  for (const one of [...place.childNodes]) if (!kept.has(one)) one.remove();
  let at = place.firstChild;
  for (const one of wanted) {
    const old = stays.get(one);
    if (!old) { place.insertBefore(one, at); continue; }
    if (old !== one) become(old, one);
    at = old.nextSibling;
  }
}

// Which node stays for which wanted one: as many as can, in the order of both, so that none has to be moved.
function staying(there, wanted) {
  const found = new Map();
  let from = 0, end = there.length, until = wanted.length;
  while (from < end && from < until && same(there[from], wanted[from])) { found.set(wanted[from], there[from]); from += 1; }
  while (end > from && until > from && same(there[end - 1], wanted[until - 1])) { end -= 1; until -= 1; found.set(wanted[until], there[end]); }
  const most = Array.from({ length: end + 1 }, () => new Uint16Array(until + 1));
  for (let i = end - 1; i >= from; i -= 1) {
    for (let j = until - 1; j >= from; j -= 1) {
      most[i][j] = same(there[i], wanted[j]) ? most[i + 1][j + 1] + 1 : Math.max(most[i + 1][j], most[i][j + 1]);
    }
  }
  for (let i = from, j = from; i < end && j < until;) {
    if (same(there[i], wanted[j])) { found.set(wanted[j], there[i]); i += 1; j += 1; }
    else if (most[i + 1][j] >= most[i][j + 1]) i += 1;
    else j += 1;
  }
  return found;
}

function same(old, one) {
  if (old === one) return true;
  if (one.isConnected || old.nodeName !== one.nodeName) return false;
  if (old.nodeType !== Node.ELEMENT_NODE) return true;
  if (old.dataset.k || one.dataset.k) return old.dataset.k === one.dataset.k;
  return !["BUTTON", "A"].includes(old.nodeName)
    || (old.textContent === one.textContent && old.getAttribute("href") === one.getAttribute("href"));
}

const KEPT = ["disabled", "open"]; // `usable` sets the one, whoever folded something out the other

function become(old, one) {
  if (old.nodeType !== Node.ELEMENT_NODE) { if (old.data !== one.data) old.data = one.data; return; }
  for (const { name } of [...old.attributes]) if (!one.hasAttribute(name) && !KEPT.includes(name)) old.removeAttribute(name);
  for (const { name, value } of [...one.attributes]) {
    if (old.getAttribute(name) !== value && !KEPT.includes(name)) old.setAttribute(name, value);
  }
  for (const event of Object.keys({ ...old.does, ...one.does })) handle(old, event, (one.does || {})[event]);
  if (old.disabled !== undefined) usable(old, !one.disabled);
  settle(old, [...one.childNodes]);
  for (const name of ["value", "checked"]) if (name in one && old[name] !== one[name]) old[name] = one[name];
}

// Whether something can be pressed now. What had the focus as it no longer could, gets it back once it can again, so
// that who works by keyboard is where they were; unless they went on meanwhile.
const left = new WeakSet();
export function usable(one, may) {
  if (!may && document.activeElement === one) left.add(one);
  one.disabled = !may;
  if (!may || !left.delete(one)) return;
  if (["BODY", "DIALOG"].includes(document.activeElement.nodeName)) one.focus({ preventScroll: true });
}

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

export function button(text, does, attributes = {}) {
  return h("button", { type: "button", onclick: does, ...attributes }, text);
}

// One sentence for those who do not see the screen change.
export function tell(...words) {
  fill(document.getElementById("live"), ...words);
}

// How long ago something was, as people say it.
export function ago(seconds) {
  const [size, unit] = [[86400, "day"], [3600, "hour"], [60, "minute"]].find(([least]) => seconds >= least) || [1, "second"];
  return new Intl.RelativeTimeFormat(catalogue.language).format(-Math.floor(seconds / size), unit);
}

// A moment as the cart's zone has it, in which the cart wrote it: neither the browser's clock nor its zone has a part in it.
export function when(iso, withDay = false) {
  const options = withDay ? { dateStyle: "medium", timeStyle: "short" } : { timeStyle: "short" };
  return new Date(`${iso.slice(0, 19)}Z`).toLocaleString(catalogue.language, { ...options, hour12: false, timeZone: "UTC" });
}
