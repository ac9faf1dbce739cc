// Bundles on the Service screen: what is installed and how it did here, install, activate, go back; for a technician.
import { get, post } from "../api.js";
import { button, fill, h, said, t, tell, usable, wrong } from "../dom.js";
import { inTurn } from "../store.js";
import { askReason, dialog } from "./dialog.js";

const STATUS = { active: "active", previous: "the one before", "": "not active" };

// Fills `place` and gives what draws it anew; `busy` of that says whether a change goes on.
export function bundlesPart(place) {
  const path = h("input", { id: "bundle-path", list: "bundle-found", maxlength: 1000, autocomplete: "off", spellcheck: "false" });
  const list = h("datalist", { id: "bundle-found" });
  const message = h("p", { role: "status" });
  const rows = h("div", { class: "rows" });
  const begin = button(t("Install"), () => act("install", { path: path.value.trim() }));
  const back = button(t("Go back to the one before"), () => askReason(t("Go back to the one before"),
    ["pictures are refused more often", "other outcomes than before"], (reason) => act("rollback", { reason }, true)), { "data-k": "back" });
  const entry = h("div", { class: "tools" }, h("label", { for: "bundle-path" }, t("Folder or archive of a bundle")), path, list, begin, back);
  fill(place, h("h2", {}, t("Bundles")), entry, message, rows);
  let before = null;
  const draw = inTurn(async () => {
    let found;
    try { found = await get("service/bundles"); } catch (error) { fill(message, wrong(error)); return; }
    part.busy = found.task.running;
    entry.hidden = Boolean(found.fixed);
    for (const one of [begin, back]) usable(one, !part.busy);
    back.hidden = !found.back;
    fill(list, found.packages.map((one) => h("option", { value: one })));
    const told = found.fixed ? [said(found.fixed)] : found.task.running ? [t("The bundle is checked and tried; this takes a minute or two.")]
      : [...(found.task.problem ? [h("b", { class: "warn" }, said(found.task.problem))] : []), ...found.task.said.map(line)];
    const same = JSON.stringify(found.task);
    if (before !== same) { fill(message, told); before = same; }
    fill(rows, found.problem ? h("p", { class: "warn", role: "alert" }, said(found.problem)) : "", found.slots.map(row),
      found.fixed || found.slots.length ? "" : h("p", {}, t("No bundle is installed; the demonstration that ships with the software is used.")),
      found.since ? h("p", { class: "quiet" }, said(found.since)) : "");
  });
  const part = { busy: false, draw };

  function row(slot) {
    const use = slot.state === "active" || slot.forbidden ? null
      : button(t("Activate"), () => ask(slot), { "data-k": `use ${slot.sha256}`, disabled: part.busy, "aria-label": `${t("Activate")} ${slot.named}` });
    return h("div", { class: "row bundle", "data-k": slot.sha256 },
      h("span", { class: "main" }, h("b", {}, slot.named), h("span", {}, `${t(STATUS[slot.state])}${slot.issue ? `, ${t("issue {n}", { n: slot.issue })}` : ""}`),
        slot.forbidden || slot.clinical_use ? null : h("span", { class: "warn" }, t("not for clinical use"))),
      h("span", { class: "main" }, slot.forbidden ? h("b", { class: "warn" }, said(slot.forbidden)) : slot.trial.map(line),
        slot.forbidden ? null : slot.objections.map((one) => h("b", { class: "warn" }, said(one)))), use);
  }

  function ask(slot) {
    if (slot.objections.length) {
      askReason(t("Activate"), ["the change was looked at with an ophthalmologist"],
        (despite) => act("activate", { sha256: slot.sha256, despite }, true),
        [h("p", {}, slot.named), ...slot.objections.map((one) => h("p", { class: "warn" }, said(one)))]);
      return;
    }
    dialog(t("Activate"), [h("p", {}, slot.named), h("p", {}, t("Pictures are read with it from the next exam on.")), ...slot.trial.map((one) => h("p", { class: "quiet" }, said(one)))],
      [{ text: t("Activate"), does: () => act("activate", { sha256: slot.sha256 }, true) }]);
  }

  async function act(what, body, inDialog = false) {
    try { await post(`service/bundles/${what}`, body); } catch (error) {
      if (inDialog) throw error;
      fill(message, wrong(error)); // until a task has something new to say
      return;
    }
    before = null;
    tell(t("The bundle is checked and tried; this takes a minute or two."));
    draw(); // a dialog that waited for it would stand over a change that is over
  }

  function line(text) { return h("span", { class: "line" }, said(text)); }
  draw();
  return part;
}
