// The shell: sign-in or the five screens, the bar with the infant, the notices; keyboard and touch alike.
import { get, post, sinceChange } from "./api.js";
import { button, fill, h, language, reviewed, said, t, tell, useCatalogue, wrong } from "./dom.js";
import { bannerText, noExam } from "./screens/parts.js";
import { can, changed, connect, forget, refresh, store, UNDER_WAY, watch } from "./store.js";
import { endDialogs } from "./screens/dialog.js";
import { captureScreen } from "./screens/capture.js";
import { resultScreen } from "./screens/result.js";
import { serviceScreen } from "./screens/service.js";
import { signInScreen } from "./screens/signin.js";
import { todayScreen } from "./screens/today.js";
import { worklistScreen } from "./screens/worklist.js";

const SCREENS = {
  worklist: { title: "Worklist", make: worklistScreen, right: "screen" },
  capture: { title: "Capture", make: captureScreen, right: "screen" },
  result: { title: "Result", make: resultScreen, right: "look" },
  today: { title: "Today", make: todayScreen, right: "look" },
  service: { title: "Service", make: serviceScreen, right: "service" },
};
const SAYS_NOTHING_ELSE = ["hint", ...UNDER_WAY]; // the bars show nothing of these
const root = document.getElementById("app");
let current = null;
let leave = () => {};
let unwatch = () => {};
let idle = null;

// A screen, and of which exam where somebody chose one, is the page's address: loading it anew and going back keep it.
export function go(name, argument = null) { show(name, argument, "pushState"); }

function show(name, argument, keep) {
  const exam = store.state && store.state.exam;
  if (name === "capture" && exam !== null && !(exam && exam.exam)) name = "worklist"; // null: the cart does not know yet
  if (!can(SCREENS[name].right)) name = Object.keys(SCREENS).find((one) => can(SCREENS[one].right));
  at(name, argument, keep);
  drawShell();
}

function at(name, argument, keep = "replaceState") {
  current = { name, argument };
  if (location.hash !== address(current)) history[keep](null, "", address(current));
}

function address({ name, argument }) { return `#${name}${argument ? `/${encodeURIComponent(argument)}` : ""}`; }

// What a screen came to show, unless the user is on the way elsewhere: the address changes before this page is told.
function here(argument) { if (location.hash === address(current)) at(current.name, argument); }

function addressed() {
  const [name, argument] = location.hash.slice(1).split("/");
  try { return [name, argument ? decodeURIComponent(argument) : null]; } catch { return [name, null]; }
}

async function signOut(tellServer = true) {
  const told = tellServer ? post("sign-out").catch(() => {}) : null; // what the cart does not hear ends by itself
  forget();
  leave(); unwatch();
  leave = unwatch = () => {};
  endDialogs();
  if (current) at(current.name, null); // whoever signs in next did not choose that exam
  root.replaceChildren(); // nothing of an infant stays for as long as the cart takes
  await told;
  await drawSignIn();
}

async function drawSignIn() {
  let welcome;
  try { welcome = await get("welcome"); await chooseLanguage(); } catch (error) {
    root.replaceChildren(h("p", { class: "loading", role: "alert" }, t("The cart is starting. This page waits for it.")));
    setTimeout(drawSignIn, 1000);
    return;
  }
  root.replaceChildren(signInScreen(welcome, {
    signedIn: async () => { await start(); },
    language: async (name) => { await chooseLanguage(name); await drawSignIn(); },
    again: drawSignIn,
  }));
}

// The one that was chosen in this browser, or its own; the cart gives English where it has no such one.
async function chooseLanguage(name = localStorage.getItem("language") || navigator.language.slice(0, 2)) {
  const found = await get(`texts/${encodeURIComponent(name)}`);
  localStorage.setItem("language", found.language);
  useCatalogue(found);
}

async function start() {
  await refresh();
  await chooseLanguage();
  connect(() => signOut(false));
  lockWhenIdle();
  const [wanted, argument] = addressed();
  const exam = store.state.exam && store.state.exam.exam;
  const known = Object.hasOwn(SCREENS, wanted) && wanted !== "worklist";
  show(known ? wanted : exam ? "capture" : "worklist", known ? argument : null, "replaceState");
}

function drawShell() {
  leave(); unwatch();
  const main = h("main", { id: "main", tabindex: "-1" });
  const head = h("header", { class: "bar" });
  const notices = h("section", { class: "notices", "aria-label": t("Notices") });
  const nav = h("nav", { "aria-label": t("Screens") }, Object.entries(SCREENS).filter(([, screen]) => can(screen.right)).map(([name, screen]) =>
    h("a", { href: `#${name}`, class: name === current.name ? "here" : "", "aria-current": name === current.name ? "page" : null,
      onclick: (event) => { event.preventDefault(); go(name); } }, t(screen.title))));
  root.replaceChildren(head, notices, nav, main);
  const drawBars = () => { drawHead(head); drawNotices(notices); };
  drawBars();
  unwatch = watch((event) => {
    if (!SAYS_NOTHING_ELSE.includes(event.kind)) drawBars();
    if (event.kind === "reading" && event.capture) tell(...bannerText(event.capture));
  });
  leave = SCREENS[current.name].make(main, { go, argument: current.argument, here }) || (() => {});
  document.title = `${t(SCREENS[current.name].title)} - ${t("ROP screening")}`;
  main.focus({ preventScroll: true });
}

function drawHead(head) {
  const state = store.state;
  if (!state) return;
  const exam = state.exam && state.exam.exam ? state.exam : null;
  const infant = exam && exam.infant;
  fill(head,
    h("div", { class: "who" }, infant
      ? [h("b", { class: "name" }, h("bdi", {}, infant.shown_name)), h("span", {}, h("bdi", {}, infant.infant_id)),
        h("span", { class: "quiet" }, `${t("born")} ${infant.born_day}, ${t("PMA")} ${infant.postmenstrual_age}`)]
      : h("span", { class: "quiet" }, noExam())),
    exam && exam.aim ? h("div", { class: "aimed" }, `${exam.aim.eye} ${t(exam.aim.view)}`) : null,
    h("div", { class: "user" },
      h("span", {}, state.user.shown),
      button(t("Lock"), () => signOut(), { class: "plain" })));
}

function drawNotices(place) {
  const state = store.state;
  if (!state) return;
  const bad = state.health.filter((part) => part.problem);
  fill(place,
    h("p", { class: "aid" }, said(state.notice)),
    !reviewed() ? h("p", { class: "aid" }, t("This translation was not reviewed by a native speaker.")) : null,
    !store.connected ? h("p", { class: "bad", role: "alert" },
      t("The cart does not answer. What is on this screen may be old.")) : null,
    ...bad.map((part) => h("p", { class: "bad", role: "alert" }, h("b", {}, t(part.name)), ": ", wrong({ ...part, message: part.problem }))));
}

function lockWhenIdle() {
  clearTimeout(idle);
  const minutes = store.state && store.state.lock_minutes;
  if (minutes) idle = setTimeout(() => { if (store.state) signOut(); }, minutes * 60000);
}

// A person did something, if only looked elsewhere: nothing that the page asks by itself keeps anybody signed in. The cart
// is told a moment later, out of the way of what the press asked for, and not where that told it already.
const HERE_MS = 15000;
let telling = null;
function attended() {
  lockWhenIdle();
  if (telling || !store.state) return;
  const period = Math.min(HERE_MS, store.state.lock_minutes * 60000 / 4);
  telling = setTimeout(() => {
    telling = null;
    if (store.state && sinceChange() > period) post("here").catch(() => {});
  }, period);
}

for (const name of ["pointerdown", "keydown"]) document.addEventListener(name, attended, { passive: true });
addEventListener("hashchange", () => {
  const [name, argument] = addressed();
  if (!store.state || !Object.hasOwn(SCREENS, name) || (name === current.name && argument === current.argument)) return;
  endDialogs();
  show(name, argument, "replaceState");
});
setInterval(() => { if (store.state) changed({ kind: "tick" }); }, 1000);
try { await start(); } catch { await drawSignIn(); }
