// The API under /api/1: JSON in and out, the session's token with every change, problems as `Problem`.
let token = "";
let changedAt = -Infinity;
const LOST = { title: "lost", detail: "the cart does not answer; wait a moment, it starts again by itself" };

export class Problem extends Error {
  constructor(status, content) {
    super(content.detail || content.title || `error ${status}`);
    this.status = status;
    this.title = content.title || "";
    this.retry = content.retry_s || 0;
    this.technical = content.technical || "";
  }
}

export function useToken(found) { token = found || ""; }

async function answer(response) {
  let content = {};
  try { content = await response.json(); } catch { /* no JSON: the status says enough */ }
  if (!response.ok) throw new Problem(response.status, content);
  return content;
}

async function asked(path, options) {
  let response;
  try {
    response = await fetch(`/api/1/${path}`, { credentials: "same-origin", ...options });
  } catch {
    throw new Problem(0, LOST);
  }
  return answer(response);
}

export function get(path) { return asked(path, {}); }

// Milliseconds since the last change was asked for, by a clock that nobody can set.
export function sinceChange() { return performance.now() - changedAt; }

export function post(path, body = {}) {
  changedAt = performance.now();
  return asked(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": token },
    body: JSON.stringify(body),
  });
}

// What the networks' gates show of a picture, by its whole address: {blob, told}.
export async function gates(address) {
  let response;
  try { response = await fetch(address, { credentials: "same-origin" }); } catch { throw new Problem(0, LOST); }
  if (!response.ok) await answer(response);
  return { blob: await response.blob(), told: JSON.parse(response.headers.get("x-explanation")) };
}

// The next live picture after `number`: {number, age, framing, blob}, or null when none came.
export async function preview(number, signal) {
  const began = performance.now();
  const response = await fetch(`/api/1/preview?after=${number}`, { credentials: "same-origin", signal });
  if (response.status === 204) return null;
  if (!response.ok) throw new Problem(response.status, {});
  const blob = await response.blob();
  return {
    number: Number(response.headers.get("x-number")),
    age: Number(response.headers.get("x-age-ms")),
    waited: performance.now() - began,
    framing: JSON.parse(response.headers.get("x-framing")),
    blob,
  };
}

// Events until the socket closes: each to `told`; `lost(code)` at the end.
export function listen(told, lost) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/api/1/events`);
  let last = performance.now();
  const watch = setInterval(() => { if (performance.now() - last > 12000) socket.close(); }, 2000);
  socket.onmessage = (message) => { last = performance.now(); told(JSON.parse(message.data)); };
  socket.onclose = (event) => { clearInterval(watch); lost(event.code); };
  return socket;
}
