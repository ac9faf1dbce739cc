// Result: outcome by infant and eye, each picture full size, and what a person may do with it.
import { gates, get, post } from "../api.js";
import { button, fill, folded, h, located, said, t, tell, when, worded, wrong } from "../dom.js";
import { can, inTurn, refresh, store, watch } from "../store.js";
import { askReason, dialog, infantFields } from "./dialog.js";
import { alike, askToClose, bannerText, noExam, openExam, outcomeTag, outcomeWords, sameWords, warned, whose } from "./parts.js";

// `argument`: an exam that somebody chose; it stays. Without one, and once the chosen one was the open one, the page
// follows the open exam, so that no infant's result stands under the next one's name.
export function resultScreen(main, { go, argument, here }) {
  const fixed = argument === openExam() ? null : argument;
  let exam = null;
  let beside; // the open exam as this screen was drawn last
  let chosen = null;
  let layer = "image";
  let why = null; // what the gates show of one picture: {address, url, told}, or {address, problem}; while asked for, {address}

  const load = inTurn(async () => {
    if (!store.state) return;
    const id = fixed || openExam() || (exam && exam.exam) || store.state.last_exam;
    if (!id) { fill(main, h("h1", {}, t("Result")), h("p", {}, store.state.exam ? t("There is no exam to show.") : noExam())); return; }
    let found;
    try { found = await get(`exams/${encodeURIComponent(id)}`); } catch (error) { exam = null; fill(main, h("p", { role: "alert" }, wrong(error))); return; }
    if (!exam || exam.exam !== found.exam) { chosen = null; forget(); }
    exam = found;
    if (main.isConnected) here(exam.exam);
    draw();
  });

  function draw() {
    const infant = exam.infant;
    const open = exam.phase === "open";
    beside = openExam();
    const other = beside && beside !== exam.exam;
    fill(main, h("div", { "data-k": exam.exam },
      h("h1", { class: "unseen" }, t("Result")),
      other ? h("div", { class: "other", role: "alert" }, h("p", { class: "warn" }, t("This is not the open exam. It is of:"), " ", whose(exam)),
        button(t("Show the open exam"), () => go("result"))) : null,
      (exam.disagreements || []).length ? h("p", { class: "disagrees", role: "alert" }, t("A clinician's findings disagree with this outcome: {what}", { what: exam.disagreements.join("; ") })) : null,
      h("div", { class: `banner big ${exam.outcome}` }, h("b", {}, t(exam.word)), h("span", {}, bannerText(exam)),
        exam.where ? h("span", { class: "reason" }, `${located(exam.where)}: `, said(exam.reason)) : h("span", { class: "reason" }, said(exam.reason))),
      warned(exam.warnings),
      h("p", {}, infant ? [h("b", {}, h("bdi", {}, infant.shown_name)), " ", h("bdi", {}, infant.infant_id), ` ${t("born")} ${infant.born_day}`] : t("retired"),
        `, ${when(exam.opened_at, true)}, ${exam.operator}, `, exam.voided ? t("void") : t(open ? "open" : exam.phase), exam.stopped ? `, ${t("stopped early")}` : ""),
      h("div", { class: "tools" },
        open ? button(t("Back to capture"), () => go("capture")) : null,
        open ? button(t("Close the exam"), () => askToClose(load)) : null,
        can("document") ? button(t("Findings of a clinician"), document_) : null,
        button(t("Correct the infant"), correct),
        exam.voided ? null : button(t(exam.void_awaits_second ? "Void the exam, as a second person" : "Void the exam"), () => ask("Void the exam", ["wrong infant", "training", "test of the equipment"], "void"), { class: "danger" }),
        h("a", { href: `/api/1/exams/${exam.exam}/report.html`, target: "_blank", rel: "noopener" }, t("Report")),
        h("a", { href: `/api/1/exams/${exam.exam}/report.pdf`, target: "_blank", rel: "noopener" }, t("PDF"))),
      h("div", { class: "eyes" }, ["OD", "OS"].map(eye)),
      h("div", { class: "look" }, picture()),
      h("section", { class: "quiet" }, h("h2", {}, t("Changes")), exam.changes.length
        ? h("ul", {}, exam.changes.map((one) => h("li", {}, `${when(one.at, true)} ${one.who}: ${one.what}; ${one.reason}`)))
        : h("p", {}, t("none")), h("p", {}, `${exam.rules.bundle.name} ${exam.rules.bundle.version}, ${t("threshold")} ${exam.rules.threshold}`))));
  }

  function eye(name) {
    const one = exam.eyes[name];
    const word = name === "OD" ? t("right eye (OD)") : t("left eye (OS)");
    return h("section", { class: "eye-result", "aria-label": word }, h("h2", {}, word, " ", outcomeTag(one)), h("p", {}, one.where ? `${located(one.where)}: ` : "", said(one.reason)),
      one.undone.length ? h("p", { class: "warn" }, t("Not done: {views}", { views: one.undone.map((view) => `${t(view)} (${worded(one.views[view].reason)})`).join(", ") })) : null,
      h("ul", { class: "shots" }, exam.captures.filter((capture) => capture.eye === name).map((capture) => h("li", {},
        h("button", { type: "button", "data-k": `shot ${capture.number}`, class: `shot ${capture.excluded ? "excluded" : ""}`, "aria-pressed": chosen === capture.number ? "true" : "false",
          onclick: () => { chosen = capture.number; draw(); } },
        capture.addresses.thumbnail ? h("img", { src: capture.addresses.thumbnail, alt: `${name} ${t(capture.view)}` }) : h("span", { class: "nothing" }, "×"),
        h("span", {}, t(capture.view)), outcomeTag(capture))))));
  }

  function picture() {
    const one = exam.captures.find((capture) => capture.number === chosen) || exam.captures[exam.captures.length - 1];
    if (!one) return [h("p", {}, t("No picture was taken."))];
    const layers = ["image", "overlay", "gates"].filter((kind) => one.addresses[kind]);
    const kind = layers.includes(layer) ? layer : layers[0];
    return [
      h("h2", {}, `${one.number}: ${one.eye} ${t(one.view)}, ${when(one.captured_at)} `, outcomeTag(one)),
      h("p", {}, bannerText(one), " ", one.banner.includes(one.reason) ? "" : said(one.reason), folded(one.technical), one.excluded ? ` ${t("Excluded")}: ${one.excluded}` : ""),
      one.view_like ? alike(exam.exam, one, async () => { await refresh(); await load(); })
        : one.looks_like ? h("p", {}, sameWords(one)) : null,
      h("div", { class: "tools", "data-k": `tools ${one.number}` }, layers.map((name) => button(t({ image: "Picture", overlay: "With vessels", gates: "With gates" }[name]),
        () => { layer = name; if (why && why.problem) forget(); draw(); }, { "data-k": `layer ${name}`, "aria-pressed": kind === name ? "true" : "false" })),
      exam.phase === "open" ? button(t("Retake"), () => retake(one)) : null,
      one.excluded || one.count_awaits_second
        ? button(t(one.excluded ? "Count it again" : "Count it again, as a second person"), () => ask("Count it again", ["excluded by mistake"], `captures/${one.number}/include`))
        : null,
      !one.excluded || one.awaits_second
        ? button(t(one.excluded ? "Exclude, as a second person" : "Exclude"), () => ask("Exclude", ["wrong eye", "wrong infant", "artefact"], `captures/${one.number}/exclude`))
        : null,
      one.view_awaits_second
        ? button(t("It is another view, as a second person"), () => ask("It is another view", ["looked at, it shows that"], `captures/${one.number}/confirm`))
        : null,
      one.place_awaits_second
        ? button(t("The label is right, as a second person"), () => ask("Correct the label", ["looked at, it shows that"], `captures/${one.number}/relabel`, [], () => ({ eye: one.eye, view: one.view })))
        : null,
      button(t("Correct the label"), () => relabel(one))),
      kind === "gates" ? gatesOf(one) : kind ? h("img", { class: "whole", "data-k": one.addresses[kind], src: one.addresses[kind], alt: called(one) }) : h("p", {}, t("The camera gave no picture.")),
    ];
  }

  function called(one) { return `${one.eye} ${t(one.view)}: ${outcomeWords(one)}`; }

  // The gates are made when they are asked for, of one picture at a time; what comes for another one is let go.
  function gatesOf(one) {
    const address = one.addresses.gates;
    if (!why || why.address !== address) explain(address);
    if (why.problem) return h("p", { class: "warn", role: "alert" }, wrong(why.problem));
    if (!why.told) return h("p", { class: "quiet" }, t("The picture is being read again for its gates."));
    const number = (value) => value.toFixed(2);
    return h("div", { class: "gates", "data-k": address },
      h("img", { class: "whole", src: why.url, alt: `${called(one)}, ${t("With gates")}` }),
      h("p", {}, t("The gates show where the classifier lets features of its vessel branch through; they do not show why it decided.")),
      h("p", {}, t("From 1, the finest, on: dark is shut, bright is open. The number is how far a gate is open on average, 0 to 1.")),
      h("p", {}, t("Log-odds for referral {all} = {base} without both branches, {raw} by the picture, {seg} by the vessels through the gates.",
        { all: number(why.told.log_odds), base: number(why.told.base), raw: number(why.told.raw_share), seg: number(why.told.seg_share) })));
  }

  async function explain(address) {
    forget();
    const asked = why = { address };
    try {
      const { blob, told } = await gates(address);
      if (why === asked) why = { address, told, url: URL.createObjectURL(blob) };
    } catch (error) { if (why === asked) why = { address, problem: error }; }
    if (why && why.address === address && main.querySelector(".look")) {
      draw();
      if (why.told) tell(t("With gates"));
    }
  }

  function forget() {
    if (why && why.url) URL.revokeObjectURL(why.url);
    why = null;
  }

  async function retake(one) {
    try { await post("aim", { exam: exam.exam, eye: one.eye, view: one.view }); } catch { /* another exam is open by now: Capture shows which */ }
    await refresh().catch(() => {});
    go("capture");
  }

  // A dialog is of the exam that was shown as it was opened, and says whose, whatever is opened while it stands.
  function ask(title, suggestions, what, extra = [], body = () => ({})) {
    const { exam: id } = exam;
    askReason(t(title), suggestions, (reason) => act(`exams/${id}/${what}`, { ...body(), reason }), [h("p", {}, whose(exam)), ...extra]);
  }

  function relabel(one) {
    const eyes = h("select", { id: "r-eye" }, ["OD", "OS"].map((name) => h("option", { value: name, selected: name === one.eye }, name)));
    const views = h("select", { id: "r-view" }, exam.rules.all_views.map((name) => h("option", { value: name, selected: name === one.view }, t(name))));
    ask("Correct the label", ["set wrongly at the capture"], `captures/${one.number}/relabel`,
      [h("label", { for: "r-eye" }, t("Eye")), eyes, h("label", { for: "r-view" }, t("View")), views],
      () => ({ eye: eyes.value, view: views.value }));
  }

  async function document_() {
    const of = exam;
    let words;
    try { words = await get("words"); } catch (error) { dialog(t("Findings of a clinician"), [h("p", { class: "warn" }, wrong(error))], []); return; }
    const choose = (id, values) => h("select", { id }, ["", ...values].map((one) => h("option", { value: one }, one || "-")));
    const eyes = h("select", { id: "d-eye" }, ["OD", "OS"].map((name) => h("option", { value: name }, name)));
    const zone = choose("d-zone", words.zones), stage = choose("d-stage", words.stages), plus = choose("d-plus", words.plus);
    const notch = h("input", { type: "checkbox", id: "d-notch" }), aggressive = h("input", { type: "checkbox", id: "d-arop" });
    const note = h("textarea", { id: "d-note", rows: 2, maxlength: 2000 });
    dialog(t("Findings of a clinician"), [h("p", {}, whose(of)), h("div", { class: "fields" },
      h("label", { for: "d-eye" }, t("Eye")), eyes, h("label", { for: "d-zone" }, t("Zone")), zone, h("label", { for: "d-notch" }, t("Notch")), notch,
      h("label", { for: "d-stage" }, t("Stage")), stage, h("label", { for: "d-plus" }, t("Plus")), plus,
      h("label", { for: "d-arop" }, "A-ROP"), aggressive, h("label", { for: "d-note" }, t("Note")), note)],
    [{ text: t("Keep"), does: () => act(`exams/${of.exam}/document`, { eye: eyes.value, zone: zone.value || null, stage: stage.value || null,
      plus: plus.value || null, notch: notch.checked, a_rop: aggressive.checked, note: note.value }) }]);
  }

  function correct() {
    const { fields, read } = infantFields(exam.infant || {});
    ask("Correct the infant", ["wrong infant chosen", "slip of the keyboard"], "correct", [fields], () => ({ infant: read(), key: "" }));
  }

  // What the cart has taken, a dialog waits for no more: else it would stand over what it has done already.
  async function act(path, body = {}) { await post(path, body); refresh().catch(() => {}); load(); }

  load();
  const unwatch = watch((event) => {
    if (["tick", "hint", "connected", "health", "taking", "captured"].includes(event.kind)) return;
    if (exam && beside !== openExam()) draw(); // before the new one has come
    load();
  });
  return () => { unwatch(); forget(); };
}
