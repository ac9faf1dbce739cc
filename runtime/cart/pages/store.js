// What is known of the cart: the last state, asked anew whenever something happened; screens draw from it.
import { get, listen, useToken } from "./api.js";

export const store = { state: null, connected: false, lastEvent: 0 };
const watchers = new Set();
const LOOK_AGAIN_MS = 4000; // however quiet the cart is: what was not told is seen all the same
let refreshed = 0; // by a clock that nobody can set, as every time here
let socket = null;
let asking = null;
let again = false;

// Whether whoever is signed in may do that: only what is shown; the server refuses by itself.
export function can(right) { return Boolean(store.state && store.state.user.rights.includes(right)); }

export function watch(draw) { watchers.add(draw); return () => watchers.delete(draw); }

export function changed(event = { kind: "state" }) { for (const draw of [...watchers]) draw(event); }

// Ask for the state; calls while one is under way lead to one more.
export async function refresh() {
  if (asking) { again = true; return asking; }
  asking = (async () => {
    do {
      again = false;
      const state = await get("state");
      useToken(state.csrf);
      store.state = state;
      refreshed = performance.now();
    } while (again);
  })();
  try { await asking; } finally { asking = null; }
  changed();
}

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
      if (performance.now() - refreshed > LOOK_AGAIN_MS) refresh().catch(() => {});
      return;
    }
    changed(event);
    if (event.kind !== "hint") refresh().catch(() => {});
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

export function disconnect() {
  if (socket) { const old = socket; socket = null; old.onclose = null; old.close(); }
  store.connected = false;
}
