// Capture: the live picture with what to do, the map of both eyes, the button, the last outcome, the strip.
import { post, preview } from "../api.js";
import { button, fill, folded, h, said, svg, t, tell, usable, wrong } from "../dom.js";
import { oneByOne, refresh, store, watch } from "../store.js";
import { alike, askToClose, bannerText, eyeMap, noExam, openExam, outcomeTag, outcomeWords, sameWords, warned, whose } from "./parts.js";
import { cameraPart } from "./camera.js";
import { dialog } from "./dialog.js";

const STALE_MS = 300;
const PRESS_HOLDS_MS = 2000;
const ARROWS = { "move left": "←", "move right": "→", "move up": "↑", "move down": "↓", closer: "⊕",
  focus: "◎", "hold still": "■", "too dark": "☾", "too bright": "☀", "light uneven": "◐", "part of the eye hidden": "◪", "no eye in view": "○", "no picture": "×", good: "✓" };

export function captureScreen(main, { go }) {
  const canvas = h("canvas", { class: "live", width: 640, height: 480, role: "img", "aria-label": t("Live picture") });
  const ring = svg("svg", { viewBox: "0 0 100 100", class: "ring", "aria-hidden": "true" },
    svg("circle", { cx: 50, cy: 50, r: 46, class: "wanted" }), svg("circle", { cx: 50, cy: 50, r: 0, class: "found" }));
  const stale = h("div", { class: "stale", hidden: true }, t("The picture is old"));
  const hint = h("p", { class: "hint", role: "status" });
  const focus = h("meter", { min: 0, max: 1, low: 0.5, high: 0.66, optimum: 1, "aria-label": t("Focus") });
  const light = h("meter", { min: 0, max: 1, low: 0.15, high: 0.85, optimum: 0.5, "aria-label": t("Brightness") });
  const take = button(t("Capture"), capture, { class: "main capture", "aria-keyshortcuts": "Space" });
  const wait = h("p", { class: "wait", role: "status" });
  const banner = h("div", { class: "banner empty", role: "status" });
  const warnings = h("div", { role: "alert" });
  const map = h("div", { class: "map" });
  const unchecked = h("p", { class: "quiet" }, t("Nothing checks which eye and view a picture shows: it counts as you set it."));
  const dose = h("div", { class: "dose" });
  const strip = h("div", { class: "strip", role: "group", "aria-label": t("Pictures of this exam") });
  const dimmer = h("input", { type: "range", id: "dimmer", min: 1, "aria-label": t("Brightness of the light"), onchange: dim });
  const tools = h("div", { class: "tools" },
    button(t("Light"), toggle, { id: "light" }), dimmer,
    button(t("Result"), () => go("result")),
    button(t("Stop early"), stop),
    button(t("Close the exam"), () => askToClose(() => go("result"))));
  const camera = cameraPart();
  fill(main, h("h1", { class: "unseen" }, t("Capture")), h("div", { class: "capture-screen" },
    h("section", { class: "view", "aria-label": t("Live picture") }, h("div", { class: "frame" }, canvas, ring, stale), hint,
      h("div", { class: "bars" }, h("span", {}, t("Focus")), focus, h("span", {}, t("Brightness")), light), tools, camera.part),
    h("section", { class: "side" }, warnings, map, unchecked, take, wait, banner, dose), strip));

  let busy = false;
  let readyAt = 0;
  let ended = false;
  let shown = null;
  let wanted = null; // eye and view that were chosen and that the cart did not take yet: the next key goes on from them
  let setting = null; // whether it took them, once it answered
  let told = null; // {exam, capture}: the newest outcome that the cart told, which the state may not hold yet
  let waited = false; // a picture is being taken that was not asked for here: another tab, the foot switch, a reload
  let recharge = ""; // what `wait` says while the flash recharges; any other words of it stay
  let recharged = 0;
  const stopper = new AbortController();

  async function live() {
    const context = canvas.getContext("2d");
    let number = 0;
    while (!ended) {
      try {
        const picture = await preview(number, stopper.signal);
        if (!picture) { mark(Infinity); continue; }
        number = picture.number;
        const bitmap = await createImageBitmap(picture.blob);
        if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) { canvas.width = bitmap.width; canvas.height = bitmap.height; }
        context.drawImage(bitmap, 0, 0);
        bitmap.close();
        shown = { at: performance.now(), age: picture.age, framing: picture.framing };
        mark(picture.age);
        canvas.dataset.number = number;
        frame(picture.framing);
      } catch (error) {
        if (ended) return;
        mark(Infinity);
        await new Promise((done) => setTimeout(done, 500));
      }
    }
  }
  const ages = setInterval(() => mark(shown ? shown.age + performance.now() - shown.at : Infinity), 100);

  function mark(age) {
    const old = !(age <= STALE_MS);
    stale.hidden = !old;
    const taking = busy || (store.state && store.state.taking);
    stale.textContent = taking ? t("Taking the picture") : t("The picture is old");
    canvas.classList.toggle("old", old);
    if (old) { hint.className = "hint"; fill(hint, taking ? "" : t("no picture")); }
  }

  function frame(framing) {
    const [x, y, radius] = framing.field;
    const found = ring.querySelector(".found");
    found.setAttribute("cx", x * 100); found.setAttribute("cy", y * 100); found.setAttribute("r", radius * 100);
    hint.className = `hint ${framing.hint === "good" ? "good" : ""}`;
    fill(hint, h("span", { "aria-hidden": "true" }, ARROWS[framing.hint] || ""), " ", dark() ? t("the light is off") : t(framing.hint));
    focus.value = framing.focus; light.value = framing.exposure;
    if (!busy) hint.dataset.hint = framing.hint;
  }

  // Where the cart has a light and it is off, a dark picture needs that first.
  function dark() {
    const lamp = store.state && store.state.exam && store.state.exam.light;
    return shown && ["too dark", "no eye in view"].includes(shown.framing.hint) && lamp && !lamp.on;
  }

  // Of what was chosen: a choice that the cart did not take yet is waited for, as it could take the press before it; for no
  // longer than the cart lets a press wait.
  async function capture() {
    if (busy) return;
    const pressed = performance.now();
    const exam = store.state.exam;
    const of = wanted || (exam && exam.aim);
    if (!exam || !of) { wait.textContent = t("Choose eye and view first."); tell(wait.textContent); return; }
    busy = true;
    usable(take, false);
    wait.textContent = t("Taking the picture");
    try {
      if (wanted && !(await setting)) return;
      if (performance.now() - pressed > PRESS_HOLDS_MS) { fill(wait, said("the cart was busy as the button was pressed; nothing was taken, press again")); return; }
      const answer = await post("capture", { exam: exam.exam, eye: of.eye, view: of.view });
      hear(answer);
      wait.textContent = "";
    } catch (error) {
      fill(wait, wrong(error));
      if (error.retry) { readyAt = performance.now() + error.retry * 1000; recharge = wait.textContent; }
    } finally {
      busy = false;
      await again();
    }
  }

  // Where the cart cannot be asked, from what is known: the button comes back, and whoever presses it is told why.
  async function again() { try { await refresh(); } catch { if (!ended) draw(); } }

  // An outcome as soon as it is known, by the event or by the answer, whichever comes first: the screen is drawn after it.
  function hear({ exam, capture }) {
    if (openExam() !== exam || newer(capture, exam)) return;
    told = { exam, capture };
    show(capture, exam);
  }

  function newer(capture, exam) { return told && told.exam === exam && told.capture.number >= capture.number; }

  function show(capture, exam) {
    if (!capture) { banner.className = "banner empty"; fill(banner); return; }
    banner.className = `banner ${capture.outcome}`;
    fill(banner,
      h("b", {}, `${capture.eye} ${t(capture.view)}: ${t(capture.word)}`), h("span", {}, bannerText(capture)),
      capture.reason && !capture.banner.includes(capture.reason) ? h("span", { class: "reason" }, said(capture.reason)) : "",
      capture.step ? h("span", { class: "reason" }, said(capture.step)) : "", folded(capture.technical),
      capture.view_like ? alike(exam, capture, refresh) : capture.looks_like ? h("span", {}, sameWords(capture)) : "");
    tell(`${capture.eye} ${t(capture.view)}: ${t(capture.word)}. `, ...bannerText(capture));
  }

  const aimed = oneByOne(async (asked) => {
    try { await post("aim", asked); if (!busy) wait.textContent = ""; await refresh(); return true; } catch (error) { fill(wait, wrong(error)); return false; }
  });

  async function aim(eye, view) {
    const exam = openExam();
    if (!exam) return;
    const asked = wanted = { eye, view };
    setting = aimed({ exam, ...asked });
    await setting;
    if (wanted === asked) wanted = null;
  }

  async function toggle() {
    await lit((lamp) => ({ on: !lamp.on }));
    setTimeout(() => { if (!ended) refresh().catch(() => {}); }, 700);
  }

  async function dim() {
    const level = Number(dimmer.value);
    await lit((lamp) => ({ on: lamp.on, level }));
  }

  const lit = oneByOne(async (wanted) => {
    if (!openExam()) return;
    const { exam, aim, light: lamp } = store.state.exam;
    try { await post("light", { exam, eye: aim && aim.eye, ...wanted(lamp) }); await refresh(); } catch (error) { fill(wait, wrong(error)); }
  });

  function stop() {
    const cause = h("select", { id: "cause" }, ["infant unstable", "refused", "equipment"].map((one) => h("option", { value: one }, t(one))));
    const note = h("input", { id: "note", maxlength: 500 });
    const { exam } = store.state;
    if (!openExam()) return;
    dialog(t("Stop early"), [h("p", {}, whose(exam)), h("p", {}, t("The exam ends without the views that are missing; it cannot say that there are no findings.")),
      h("label", { for: "cause" }, t("Why")), cause, h("label", { for: "note" }, t("Note")), note],
    [{ text: t("Stop the exam"), class: "danger", does: async () => {
      await post(`exams/${exam.exam}/stop`, { cause: cause.value, note: note.value });
      await refresh();
      go("result");
    } }]);
  }

  function draw() {
    const exam = store.state && store.state.exam;
    if (!openExam()) { ends(); return; }
    fill(warnings, warned(exam.warnings));
    fill(map, ...["OD", "OS"].map((eye) => eyeMap(exam, eye, aim)));
    const lamp = exam.light;
    tools.querySelector("#light").hidden = !lamp;
    if (lamp) tools.querySelector("#light").setAttribute("aria-pressed", lamp.on ? "true" : "false");
    dimmer.hidden = !lamp || !lamp.most || !lamp.level;
    if (lamp && document.activeElement !== dimmer) { dimmer.max = lamp.most; dimmer.step = Math.max(1, Math.round(lamp.most / 40)); dimmer.value = lamp.level; }
    fill(dose, ...doses(exam));
    const left = Math.max(lamp ? lamp.recharge_s - (performance.now() - store.refreshed) / 1000 : 0, (readyAt - performance.now()) / 1000);
    usable(take, !(busy || store.state.taking || left > 0.05));
    if (store.state.taking && !busy) { wait.textContent = t("Taking the picture"); waited = true; }
    else if (waited) { waited = false; if (wait.textContent === t("Taking the picture")) wait.textContent = ""; }
    if (left > 0.05 && !busy) {
      if (["", recharge].includes(wait.textContent)) wait.textContent = recharge = t("The flash recharges: {s} s", { s: left.toFixed(1) });
      clearTimeout(recharged);
      recharged = setTimeout(() => { if (!ended) again(); }, Math.min(left * 1000 + 50, 1000));
    } else if (!busy && recharge) { if (wait.textContent === recharge) wait.textContent = ""; recharge = ""; }
    fill(strip, ...exam.captures.map((one) => h("button", { type: "button", "data-k": `shot ${exam.exam} ${one.number}`, class: `shot ${one.outcome} ${one.excluded ? "excluded" : ""}`,
      onclick: () => go("result", exam.exam), "aria-label": `${one.number}: ${one.eye} ${t(one.view)}, ${outcomeWords(one)}` },
    one.addresses && one.addresses.thumbnail ? h("img", { src: one.addresses.thumbnail, alt: "", loading: "lazy" }) : h("span", { class: "nothing" }, "×"),
    h("span", {}, `${one.eye} ${t(one.view)}`), outcomeTag(one))));
    const doubtful = exam.aim && exam.eyes[exam.aim.eye].views[exam.aim.view]?.status === "alike"
      ? exam.captures.findLast((one) => one.view_like && one.eye === exam.aim.eye && one.view === exam.aim.view) : null;
    const newest = exam.captures[exam.captures.length - 1];
    const last = told && told.exam === exam.exam && !(newest && newest.number >= told.capture.number) ? told.capture : doubtful || newest;
    if (!busy) show(last && last.word ? last : null, exam.exam);
  }

  // Somebody ended it elsewhere: nothing of its infant stays.
  function ends() {
    usable(take, false);
    fill(warnings, h("p", { class: "warn" }, noExam()), button(t("Result"), () => go("result")));
    for (const place of [map, dose, strip]) fill(place);
    show(null);
  }

  function doses(exam) {
    const eye = exam.aim && exam.aim.eye;
    const found = exam.light && exam.light.dose && eye ? exam.light.dose[eye] : null;
    if (!found) return [];
    return Object.entries(found).map(([name, one]) => {
      const share = one.used / one.limit;
      return h("p", { class: share > 0.8 ? "warn" : "quiet" }, h("bdi", { dir: "ltr" }, `${eye} ${name}: ${(share * 100).toFixed(0)} %`), ` ${t("of the light allowed is used")}`,
        h("meter", { min: 0, max: 1, high: 0.8, value: share, "aria-label": `${eye} ${name}` }));
    });
  }

  function keys(event) {
    if (document.querySelector("dialog[open]") || /INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) return;
    const exam = store.state.exam;
    if (event.code === "Space") { event.preventDefault(); if (!event.repeat && !take.disabled) capture(); return; }
    if (event.ctrlKey || event.altKey || event.metaKey || !exam || !exam.exam) return;
    const views = exam.rules.required_views;
    const { eye, view } = wanted || exam.aim || { eye: "OD", view: views[0] };
    const number = Number(event.key);
    if (number >= 1 && number <= views.length) aim(eye, views[number - 1]);
    else if (event.key.toLowerCase() === "r") aim("OD", view);
    else if (event.key.toLowerCase() === "l") aim("OS", view);
  }

  document.addEventListener("keydown", keys);
  draw();
  live();
  const unwatch = watch((event) => {
    if (event.kind === "foot_switch") wait.textContent = t("Foot switch");
    if (event.kind === "refused") fill(wait, said(event.reason || ""));
    if (event.kind === "reading") hear(event);
    if (["hint", "tick", "captured", "reading"].includes(event.kind) || (event.kind === "taking" && busy)) return;
    draw();
  });
  return () => { ended = true; stopper.abort(); clearInterval(ages); document.removeEventListener("keydown", keys); unwatch(); camera.leave(); };
}
