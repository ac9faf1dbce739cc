// Service: how the cart stands, for the technician; nothing of a patient.
import { get, post } from "../api.js";
import { button, fill, h, said, t, wrong } from "../dom.js";
import { can, inTurn, watch } from "../store.js";
import { bundlesPart } from "./bundles.js";
import { cameraPart } from "./camera.js";
import { dialog } from "./dialog.js";

export function serviceScreen(main) {
  const camera = cameraPart();
  let part = null;
  const place = h("div", {});
  const shelf = h("section", { class: "bundles", hidden: !can("bundles") });
  const message = h("p", { role: "status" });
  fill(main, h("div", { class: "tools" }, h("h1", {}, t("Service")), button(t("Look again"), () => { load(); if (part) part.draw(); }),
    button(t("Change my PIN"), changePin), h("a", { href: "/api/1/service/support.zip" }, t("Support archive"))), message, place, camera.part, shelf);

  const load = inTurn(async () => {
    let found;
    try { found = await get("service"); } catch (error) { fill(place, h("p", { role: "alert" }, wrong(error))); return; }
    fill(place,
      section(t("Parts"), h("ul", { class: "health" }, found.health.map((part) => h("li", { class: part.problem ? "bad" : "good" },
        h("b", {}, t(part.name)), " ", ...(part.problem ? wrong({ ...part, message: part.problem }) : [t("ready")]), part.fact ? h("span", { class: "quiet" }, ` ${part.fact}`) : "")))),
      section(t("Latency of the last hour"), found.latency.frames
        ? h("p", {}, t("{n} pictures, p50 {p50} ms, p95 {p95} ms, longest {max} ms, budget {budget}", { n: found.latency.frames, ...found.latency }))
        : h("p", {}, t("no picture in the last hour"))),
      section(t("Model"), h("p", {}, found.model)),
      section(t("Light"), found.light ? [h("p", {}, said(found.light)), button(t("Ask the light board (no light is given)"), test)] : h("p", {}, t("This cart has no light board."))),
      section(t("Outbox"), h("p", {}, found.outbox)),
      section(t("Log"), h("pre", { tabindex: "0" }, found.log.join("\n"))));
  });
  async function test() {
    message.textContent = "";
    try { fill(message, said((await post("service/light-test")).said)); } catch (error) { fill(message, wrong(error)); }
  }
  // The session ends with the PIN that it began with: the page is loaded anew, and asks for the new one.
  function changePin() {
    const [now, next, again] = ["now", "next", "again"].map((name) =>
      h("input", { type: "password", id: `pin-${name}`, inputmode: "numeric", autocomplete: "off", maxlength: "64" }));
    dialog(t("Change my PIN"), [h("div", { class: "fields" }, h("label", { for: "pin-now" }, t("The PIN of now")), now,
      h("label", { for: "pin-next" }, t("The new PIN")), next, h("label", { for: "pin-again" }, t("The new PIN once more")), again)],
    [{ text: t("Change my PIN"), does: async () => {
      if (next.value !== again.value) throw new Error(t("The new PIN is not the same both times; type it again."));
      await post("pin", { pin: now.value, new_pin: next.value });
      location.reload();
    } }]);
  }
  function section(title, ...content) { return h("section", {}, h("h2", {}, title), ...content); }
  load();
  if (can("bundles")) part = bundlesPart(shelf);
  const unwatch = watch((event) => {
    const anew = ["health", "missed", "connected"].includes(event.kind);
    if (anew) load();
    if (part && (anew || (event.kind === "tick" && part.busy))) part.draw();
  });
  return () => { unwatch(); camera.leave(); };
}
