// Who is to be examined: own station's first, what may be taken for another flagged, manual and emergency entry.
import { get, post } from "../api.js";
import { ago, button, fill, h, said, t, wrong } from "../dom.js";
import { inTurn, refresh, store, watch } from "../store.js";
import { dialog, infantFields } from "./dialog.js";
import { openExam, outcomeTag, warned, whose } from "./parts.js";

const MOST = 200; // rows at once: nobody reads more, and a browser that draws thousands stands still

export function worklistScreen(main, { go }) {
  const list = h("div", { class: "rows" });
  const search = h("input", { id: "search", type: "search", autocomplete: "off", oninput: () => draw() });
  const age = h("p", { class: "quiet", role: "status" });
  let answer = null;
  fill(main,
    h("div", { class: "tools" },
      h("h1", {}, t("Worklist")),
      h("label", { for: "search" }, t("Search")), search,
      button(t("Ask again"), ask), button(t("Enter by hand"), () => { if (!another()) enter({}, "", false); }),
      button(t("Emergency"), () => { if (!another()) emergency(); })),
    age, list);

  const load = inTurn(async () => { answer = { ...await get("worklist"), at: performance.now() }; draw(); });

  async function ask() {
    age.textContent = t("Asking the worklist");
    try { await post("worklist/refresh"); await load(); } catch (error) { fill(age, wrong(error)); }
  }

  function drawAge() {
    const passed_s = (performance.now() - answer.at) / 1000;
    fill(age, ...(answer.exists ? [
      answer.age_s === null ? t("The worklist has not answered yet.") : t("Answered {ago}.", { ago: ago(answer.age_s + passed_s) }),
      answer.problem ? h("b", { class: "bad" }, " ", said(answer.problem)) : ""] : [t("This cart has no worklist; enter infants by hand.")]));
  }

  function draw() {
    if (!answer) return;
    const words = search.value.trim().toLowerCase();
    const found = answer.rows.filter((row) => !words ||
      [row.shown_name, row.patient_id, row.accession].some((text) => text.toLowerCase().includes(words)));
    drawAge();
    fill(list, ...found.slice(0, MOST).map(row), found.length > MOST ? h("p", {}, t("{n} more; search for the name or the identifier.", { n: found.length - MOST })) : null, ...(found.length || !answer.exists ? [] : [h("p", {}, t("Nobody is on the worklist."))]));
  }

  function row(item) {
    const whose = [item.patient_id, item.patient_name, item.birth_day, item.accession, item.time, item.station].join("|"); // outlives an answer
    return h("button", { type: "button", "data-k": whose, class: `row ${item.own ? "own" : ""}`, onclick: () => confirm(item) },
      h("span", { class: "time" }, item.time),
      h("span", { class: "main" }, h("b", {}, h("bdi", {}, item.shown_name)), h("span", {}, h("bdi", {}, item.patient_id)),
        item.unreadable.length ? h("span", { class: "bad" }, t("Could not be read: {what}", { what: item.unreadable.join(", ") })) : null,
        item.alike.length ? h("span", { class: "warn" }, t("Take care: {why}", { why: item.alike.map((why) => t(why)).join(", ") })) : null),
      h("span", {}, item.birth_day ? `${t("born")} ${item.birth_day}` : ""),
      h("span", { class: "quiet" }, h("bdi", {}, item.description), " ", item.own ? null : h("bdi", {}, `(${item.station})`)),
      item.done_as ? h("span", {}, h("span", { class: "tag" }, t("done today")), " ", outcomeTag(item.done_as)) : null);
  }

  // Whether an exam is open: it is said of whom, as whoever chose another infant must not find themselves in that one's.
  function another() {
    if (!openExam()) return false;
    dialog(t("Another exam is open"), [h("p", { class: "warn" }, t("It is of:"), " ", whose(store.state.exam)),
      h("p", {}, t("Close it before you open one of another infant."))],
    [{ text: t("Go to the open exam"), does: () => go("capture") }]);
    return true;
  }

  function confirm(item) {
    if (openExam() && store.state.exam.infant.infant_id === item.patient_id) { go("capture"); return; }
    if (another()) return;
    enter({ infant_id: item.patient_id, name: item.patient_name, sex: ["M", "F", "O"].includes(item.sex) ? item.sex : "",
      born_at: item.birth_day }, item.key, false, item.alike, item.done_as ? [item.done_as.said] : []);
  }

  function emergency() {
    enter({ infant_id: store.state.emergency_id, name: "Unknown" }, "", true);
  }

  // `told`: what the dialog says from the start. What the cart knows besides is shown before the exam is opened; whoever
  // presses again goes on knowingly.
  function enter(known, key, urgent, alike = [], told = []) {
    const { fields, read } = infantFields(known);
    const checked = h("input", { type: "checkbox", id: "band" });
    const said_ = h("div", { role: "alert" }, warned(told));
    dialog(urgent ? t("Emergency exam") : t("Whose exam is this?"), [
      alike.length ? h("p", { class: "warn" }, t("Take care: {why}", { why: alike.map((why) => t(why)).join(", ") })) : null,
      fields,
      h("p", { class: "check" }, checked, h("label", { for: "band" }, t("Name and identifier agree with the wrist band"))),
      said_,
    ].filter(Boolean), [{ text: t("Open the exam"), does: async () => {
      if (!checked.checked) { checked.focus(); throw new Error(t("Compare with the wrist band first.")); }
      const infant = read();
      const { warnings } = await post("exams/look", { infant });
      const fresh = warnings.some((one) => !told.includes(one));
      told = warnings;
      fill(said_, warned(told), fresh ? h("p", {}, t("Press again to open the exam all the same.")) : null);
      if (fresh) return false;
      await post("exams", { key, infant, wrist_band_checked: true });
      await refresh();
      go("capture");
    } }]);
  }

  load().then(() => { if (answer.exists && answer.age_s === null) ask(); }).catch(() => {});
  let ticks = 0;
  return watch((event) => {
    if (["worklist", "missed", "connected"].includes(event.kind)) load().catch(() => {}); // what was not heard is asked for
    else if (event.kind === "tick" && answer && ++ticks % 20 === 0) drawAge(); // seldom: it is read out each time
  });
}
