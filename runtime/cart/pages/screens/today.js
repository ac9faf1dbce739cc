// Today: the day's exams, where each stands with the archive, and the way into each.
import { get } from "../api.js";
import { fill, h, said, t, when, wrong } from "../dom.js";
import { inTurn, watch } from "../store.js";
import { outcomeTag } from "./parts.js";

export function todayScreen(main, { go }) {
  let chosen = ""; // a day that somebody chose; else it is today's, also after midnight
  const day = h("input", { type: "date", id: "day", onchange: () => { chosen = day.value; load(); } });
  const list = h("div", { class: "rows" });
  const outbox = h("p", { role: "status" });
  fill(main, h("div", { class: "tools" }, h("h1", {}, t("Today")), h("label", { for: "day" }, t("Day")), day), outbox, list);

  const load = inTurn(async () => {
    let found;
    try { found = await get(`exams?day=${chosen}`); } catch (error) { fill(list, h("p", { role: "alert" }, wrong(error))); return; }
    if (!chosen && day.value !== found.day) day.value = found.day;
    fill(list, ...found.exams.map((one) => h("button", { type: "button", class: "row", "data-k": one.exam, onclick: () => go("result", one.exam) },
      h("span", { class: "time" }, when(one.opened_at)),
      h("span", { class: "main" }, h("b", {}, h("bdi", {}, one.shown_name)), h("span", {}, h("bdi", {}, one.infant_id))),
      h("span", {}, outcomeTag(one), " ", one.warnings.map((why) => h("b", { class: "warn" }, said(why), " ")), one.void_awaits_second ? h("b", { class: "warn" }, said(one.reason), " ") : null, one.disagrees ? h("b", { class: "warn" }, t("a clinician disagrees"), " ") : null, h("span", { class: "quiet" }, one.voided ? t("void") : t(one.phase))),
      h("span", { class: one.delivery.state === "held" ? "bad" : "quiet" }, t(one.delivery.word), one.delivery.error ? [": ", said(one.delivery.error)] : ""))),
    ...(found.exams.length ? [] : [h("p", {}, t("No exam on this day."))]));
    const counts = found.archive; // of these very exams
    fill(outbox, counts ? t("{waiting} waiting, {held} held, {done} in the archive", counts) : t("No archive is configured."),
      counts && counts.elsewhere ? `; ${t("of other days not in the archive yet: {n}", { n: counts.elsewhere })}` : "");
  });
  load();
  return watch((event) => { if (!["tick", "hint"].includes(event.kind)) load(); });
}
