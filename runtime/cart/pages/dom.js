// Small helpers: elements from names and children, and texts in the user's language. Text is always set as text.
let catalogue = { language: "en", direction: "ltr", reviewed: true, texts: {} };

export function useCatalogue(found) {
  catalogue = found;
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

// A text that the server gave: translated where the catalogue has it, else in English, marked so for screen readers.
export function said(text) {
  const found = catalogue.texts[text];
  if (found || catalogue.language === "en") return found || text;
  return h("span", { lang: "en", dir: "ltr" }, text);
}

export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value") element.value = value;
    else if (value === true) element.setAttribute(key, "");
    else element.setAttribute(key, String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// What a place shows from now on; nothing, null and false show nothing. The focus stays on what has the same `data-k`.
export function fill(place, ...children) {
  const active = place.contains(document.activeElement) ? document.activeElement.dataset.k : null;
  place.replaceChildren(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  const again = active ? place.querySelector(`[data-k="${CSS.escape(active)}"]`) : null;
  if (again) again.focus({ preventScroll: true });
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
export function tell(text) {
  document.getElementById("live").textContent = text;
}

export function when(iso, withDay = false) {
  const options = withDay ? { dateStyle: "medium", timeStyle: "short" } : { timeStyle: "short" };
  return new Date(iso).toLocaleString(catalogue.language, { ...options, hour12: false });
}
