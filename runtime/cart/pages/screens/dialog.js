// Questions over the screen: a reason, a confirmation, the infant's fields. Escape closes, the focus comes back.
import { button, fill, h, t, usable, wrong } from "../dom.js";

// Nothing stays over a screen whose user has left.
export function endDialogs() { for (const one of document.querySelectorAll("dialog")) one.remove(); }

export function dialog(title, content, actions) {
  const before = document.activeElement;
  const message = h("p", { class: "message", role: "alert" });
  const box = h("dialog", { "aria-label": title });
  const close = () => { box.close(); box.remove(); if (before && before.isConnected) before.focus(); };
  const row = h("div", { class: "actions" }, button(t("Cancel"), close, { class: "plain" }));
  for (const action of actions) {
    const does = async () => {
      usable(one, false);
      message.textContent = "";
      try { if (await action.does() !== false) close(); } catch (error) { fill(message, wrong(error)); }
      usable(one, true);
    };
    const one = button(action.text, does, { class: action.class || "main" });
    row.append(one);
  }
  box.append(h("h2", {}, title), ...content, message, row);
  box.addEventListener("cancel", (event) => { event.preventDefault(); close(); });
  document.body.append(box);
  box.showModal();
  const first = box.querySelector("input, select, textarea");
  if (first) first.focus();
  return close;
}

export function askReason(title, suggestions, does, extra = []) {
  const text = h("textarea", { id: "reason", rows: "3", maxlength: "500" });
  dialog(title, [
    ...extra,
    h("div", { class: "chips", role: "group", "aria-label": t("Suggestions") },
      suggestions.map((one) => button(t(one), () => { text.value = t(one); }, { class: "chip" }))),
    h("label", { for: "reason" }, t("Reason (needed)")), text,
  ], [{ text: title, does: async () => {
    if (!text.value.trim()) { text.focus(); throw new Error(t("Say why, in a few words.")); }
    await does(text.value.trim());
  } }]);
}

export function infantFields(known = {}) {
  const [day = "", time = ""] = (known.born_at || "").split("T"); // nobody's time of birth is made up: a worklist has the day alone
  const field = (name, label, type = "text", attributes = {}) => {
    const input = h("input", { id: `f-${name}`, type, value: known[name] ?? "", autocomplete: "off", ...attributes });
    return [h("label", { for: `f-${name}` }, label), input];
  };
  const sex = h("select", { id: "f-sex" }, ["", "F", "M", "O"].map((one) =>
    h("option", { value: one, selected: (known.sex || "") === one }, t({ "": "not known", F: "female", M: "male", O: "other" }[one]))));
  const fields = h("div", { class: "fields" },
    ...field("infant_id", t("Hospital's identifier"), "text", { maxlength: 64 }),
    ...field("name", t("Name (family^given)"), "text", { maxlength: 1000 }),
    ...field("born_day", t("Date of birth"), "date", { value: day }),
    ...field("born_time", t("Time of birth, where it is known"), "time", { value: time.slice(0, 5) }),
    ...field("gestational_age", t("Gestational age at birth (27w3d)")),
    ...field("birth_weight_g", t("Birth weight in grams"), "number", { min: 200, max: 6000 }),
    h("label", { for: "f-sex" }, t("Sex")), sex);
  const value = (name) => fields.querySelector(`#f-${name}`).value.trim();
  const same = (born) => born === [day, time.slice(0, 5)].filter(Boolean).join("T") ? known.born_at : born; // with its own zone
  return { fields, read: () => ({
    infant_id: value("infant_id"), name: value("name"), born_at: same([value("born_day"), value("born_time")].filter(Boolean).join("T")),
    gestational_age: value("gestational_age"), birth_weight_g: Number(value("birth_weight_g")) || 0, sex: sex.value,
  }) };
}
