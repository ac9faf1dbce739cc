// The camera's own settings: exposure, focus, gain, as far as its driver has them; folded away until they are wanted.
import { get, post } from "../api.js";
import { fill, h, said, t, wrong } from "../dom.js";
import { oneByOne, watch } from "../store.js";

// A part of a screen, and what ends it: {part, leave}.
export function cameraPart() {
  const rows = h("div", { class: "fields" });
  const message = h("p", { role: "status" });
  const part = h("details", { class: "camera", ontoggle: () => { if (part.open) load(); } }, h("summary", {}, t("Camera")), rows, message);

  async function load() {
    try { draw((await get("camera")).controls); } catch (error) { fill(rows); fill(message, wrong(error)); }
  }

  const turn = oneByOne(async (name, value) => {
    try { draw((await post("camera", { control: name, value })).controls); } catch (error) { await load(); fill(message, wrong(error)); }
  });

  function draw(controls) {
    fill(message, controls.length ? "" : t("Nothing of this camera can be set from here."));
    fill(rows, ...controls.map(row));
  }

  function row(one) {
    const id = `camera-${one.name}`;
    const label = t({ exposure: "Exposure", focus: "Focus", gain: "Gain" }[one.name]);
    const slider = h("input", { type: "range", id, "data-k": id, min: one.low, max: one.high, step: one.step || "any", value: one.value,
      disabled: Boolean(one.fixed), onchange: (event) => turn(one.name, Number(event.target.value)),
      oninput: (event) => { rows.querySelector(`[for="${id}"]:is(output)`).textContent = valueOf({ ...one, value: Number(event.target.value) }); } });
    const shown = h("output", { for: id }, valueOf(one));
    const auto = h("input", { type: "checkbox", id: `${id}-auto`, "data-k": `${id}-auto`, checked: one.automatic === true, disabled: Boolean(one.fixed),
      onchange: (event) => turn(one.name, event.target.checked ? null : Number(rows.querySelector(`#${id}`).value)) });
    return [h("label", { for: id }, label), h("div", { class: "control" }, slider, shown,
      one.automatic === null ? null : h("span", { class: "check" }, auto, h("label", { for: `${id}-auto` }, `${label}: ${t("by the camera itself")}`)),
      one.fixed ? h("p", { class: "quiet" }, said(one.fixed)) : null)];
  }

  function valueOf(one) { return `${Number(one.value.toPrecision(4))} ${one.unit}`.trim(); }

  const leave = watch((event) => { if (["camera", "missed", "connected"].includes(event.kind) && part.open && !part.contains(document.activeElement)) load(); });
  return { part, leave };
}
