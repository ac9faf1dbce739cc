// Pieces that several screens share: the map of an eye, the tag of an outcome.
import { post } from "../api.js";
import { button, fill, h, located, said, t } from "../dom.js";
import { refresh, store, watch } from "../store.js";
import { askReason, dialog } from "./dialog.js";

const SIGNS = { REFER: "!", NO_REFERRAL_FINDINGS: "✓", RETAKE: "↻", NO_RESULT: "?" };
const STATUS = { todo: "to do", taken: "taken", retake: "retake", refer: "refer", "no result": "no result", alike: "same place" };

export function outcomeTag(one) {
  return h("span", { class: `tag ${one.outcome}` }, h("span", { "aria-hidden": "true" }, one.excluded ? "×" : SIGNS[one.outcome] || ""), " ", outcomeWords(one));
}

// A picture that a person excluded still says what it was read as: that is what somebody decided against.
export function outcomeWords(one) {
  if (!one.excluded) return t(one.word);
  return one.read_as ? t("excluded, read as {word}", { word: t(one.read_as) }) : t("excluded");
}

// What must be read beside an outcome: a REFER that was excluded, another infant's identifier.
export function warned(warnings) { return (warnings || []).map((one) => h("p", { class: "warn" }, said(one))); }

// The controlled text of an outcome in the user's language, with place and reason where the text has them.
export function bannerText(one) {
  if (!["RETAKE", "NO_RESULT"].includes(one.outcome) || one.banner === one.base) return [said(one.base)];
  const details = one.banner.slice(one.base.length); // " - PLACE, REASON", or one of them
  const place = details.endsWith(one.reason) ? details.slice(0, details.length - one.reason.length) : details;
  return [said(one.base), located(place), place === details ? null : said(one.reason)];
}

// The exam that is open as the page knows, by its identifier; null where none is.
export function openExam() { return (store.state && store.state.exam && store.state.exam.exam) || null; }

// Why no infant is shown: none is open, or the cart does not know yet.
export function noExam() { return store.state && store.state.exam === null ? t("The cart is starting. This page waits for it.") : t("No exam is open"); }

// Whose exam it is, for what stands over the screen.
export function whose(exam) {
  return exam.infant ? h("span", { class: "whose" }, h("b", {}, h("bdi", {}, exam.infant.shown_name)), " ", h("bdi", {}, exam.infant.infant_id)) : t("retired");
}

function likeWords(capture) {
  return t("The picture can be graded, but shows nearly the same place as {view}. It does not count until it is taken anew or confirmed.", { view: located(capture.view_like) });
}

// Of a picture that refers, whatever it is like.
export function sameWords(capture) {
  return t("This picture shows nearly the same place as {view}; its finding counts. Take it anew to see this view.", { view: located(capture.looks_like) });
}

// What is to be decided about a picture that looks like another view's; `after` is called when it was confirmed.
export function alike(exam, capture, after) {
  return h("div", { class: "alike", "data-k": `alike ${exam} ${capture.number}` },
    h("p", {}, likeWords(capture)),
    button(t("It is another view"), () => askReason(t("It is another view"),
      ["the same structures lie in both fields", "the eye can be turned no further"],
      (reason) => post(`exams/${exam}/captures/${capture.number}/confirm`, { reason }).then(after))));
}

// Ends the open exam, after it was said what is missing as it stands while the question is open.
export function askToClose(after) {
  if (!openExam()) return;
  const { exam: id } = store.state.exam;
  const told = h("div", {});
  const draw = () => {
    if (openExam() !== id) return;
    const { exam } = store.state;
    const undone = Object.entries(exam.eyes).flatMap(([eye, one]) => one.undone.map((view) => `${eye} ${t(view)}`));
    const doubtful = exam.captures.filter((one) => one.view_like);
    fill(told, h("p", {}, whose(exam)),
      undone.length ? h("p", { class: "warn" }, t("Not done: {views}", { views: undone.join(", ") })) : null,
      doubtful.map((one) => h("p", { class: "warn" }, `${one.number}, ${one.eye} ${t(one.view)}: `, likeWords(one))),
      undone.length || doubtful.length ? null : h("p", {}, t("Every view is done.")),
      h("p", {}, bannerText(exam)), warned(exam.warnings));
  };
  draw();
  dialog(t("Close the exam"), [told], [{ text: t("Close the exam"), does: async () => {
    await post(`exams/${id}/close`);
    await refresh();
    after();
  } }]);
  const unwatch = watch(() => { if (told.isConnected) draw(); else unwatch(); });
}

// Where the views lie as one looks at the infant: the right eye's temple is at the left of the screen.
const PLACES = { superior: "top", inferior: "bottom", "disc-centred": "middle" };

export function eyeMap(exam, eye, aim) {
  const views = exam.eyes[eye].views;
  const required = exam.rules.required_views;
  const begun = Object.keys(views).filter((name) => !required.includes(name)); // a picture was moved there: it counts, too
  const cells = [...required, ...begun].map((name, index) => {
    const one = views[name] || { status: "todo" };
    const here = exam.aim && exam.aim.eye === eye && exam.aim.view === name;
    const side = name === "temporal" ? (eye === "OD" ? "start" : "end") : name === "nasal" ? (eye === "OD" ? "end" : "start") : PLACES[name];
    return button([index < required.length ? h("span", { class: "key", "aria-hidden": "true" }, String(index + 1)) : null, h("b", {}, t(name)),
      h("span", {}, t(STATUS[one.status] || one.status))], () => aim(eye, name),
    { "data-k": `${eye} ${name}`, class: `cell at-${side} ${one.status.replace(" ", "-")}`, "aria-pressed": here ? "true" : "false",
      "aria-label": `${eye} ${t(name)}: ${t(STATUS[one.status] || one.status)}` });
  });
  const word = eye === "OD" ? t("right eye (OD)") : t("left eye (OS)");
  return h("div", { class: "eye", role: "group", "aria-label": word }, h("h2", {}, word), h("div", { class: "cells" }, cells));
}
