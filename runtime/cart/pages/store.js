// What is known of the cart: the last state, asked anew whenever something happened; screens draw from it.
import { get, listen, useToken } from "./api.js";

// `refreshed`: when the state came, by a clock that nobody can set, as every time here.
export const store = { state: null, refreshed: 0, connected: false, lastEvent: 0 };
// Of a picture that is being taken: `state` follows once the cart shows it, and until then asking tells nothing new, but
// takes time from the reading.
export const UNDER_WAY = ["taking", "captured", "reading"];
const watchers = new Set();
const LOOK_AGAIN_MS = 4000; // however quiet the cart is: what was not told is seen all the same
let socket = null;
let visit = 0; // counts who was signed in here

// Whether whoever is signed in may do that: only what is shown; the server refuses by itself.
export function can(right) { return Boolean(store.state && store.state.user.rights.includes(right)); }

export function watch(draw) { watchers.add(draw); return () => watchers.delete(draw); }

export function changed(event = { kind: "state" }) { for (const draw of [...watchers]) draw(event); }

// An async `work`, never twice at once: calls while it is under way lead to one more run, which they wait for, so
// that an older answer of the cart is never shown over a newer one.
export function inTurn(work) {
  let running = null;
  let again = false;
  async function run() {
    try { do { again = false; await work(); } while (again); } finally { running = null; }
  }
  return () => {
    if (running) again = true; else running = run();
    return running;
  };
}

// An async `send`, each call after the one before was answered: over connections of their own the cart could take a
// former one last, and stay at what was set before.
export function oneByOne(send) {
  let last = Promise.resolve();
  return (...words) => {
    last = last.then(() => send(...words), () => send(...words));
    return last;
  };
}

export const refresh = inTurn(async () => {
  const before = visit;
  const state = await get("state");
  if (visit !== before) return; // whoever asked is signed out by now
  useToken(state.csrf);
  store.state = state;
  store.refreshed = performance.now();
  changed();
});

export function connect(signedOut) {
  disconnect();
  socket = listen((event) => {
    if (!store.connected) {
      store.connected = true;
      changed({ kind: "connected" });
      refresh().catch(() => {}); // whatever happened before the cart listened to this page
    }
    store.lastEvent = performance.now();
    if (event.kind === "alive") {
      if (performance.now() - store.refreshed > LOOK_AGAIN_MS) refresh().catch(() => {});
      return;
    }
    if (event.kind === "taking" && store.state) store.state.taking = true;
    changed(event);
    if (event.kind !== "hint" && !UNDER_WAY.includes(event.kind)) refresh().catch(() => {});
  }, (code) => {
    socket = null;
    store.connected = false;
    changed({ kind: "connected" });
    if (code === 4401) { signedOut(); return; }
    setTimeout(() => { if (!socket && store.state) retry(signedOut); }, 500);
  });
}

async function retry(signedOut) {
  try { await refresh(); connect(signedOut); } catch (error) {
    if (error.status === 401) signedOut();
    else setTimeout(() => { if (!socket && store.state) retry(signedOut); }, 1000);
  }
}

// Whoever was signed in is not any more.
export function forget() {
  disconnect();
  visit += 1;
  store.state = null;
  useToken("");
}

function disconnect() {
  if (socket) { const old = socket; socket = null; old.onclose = null; old.close(); }
  store.connected = false;
}
