// Sign in: who, PIN by keys or by touch, and how the cart stands.
import { get, post } from "../api.js";
import { button, fill, h, language, said, t, wrong } from "../dom.js";

const LOOK_AGAIN_MS = 4000;

export function signInScreen(welcome, { signedIn, language: choose, again }) {
  const message = h("p", { class: "message", role: "alert" });
  const pin = h("input", { type: "password", id: "pin", inputmode: "numeric", autocomplete: "off", maxlength: "64" });
  const user = h("select", { id: "user" }, welcome.users.map((one) => h("option", { value: one.name }, one.shown)));
  const submit = h("button", { type: "submit", class: "main" }, t("Sign in"));
  async function enter(event) {
    event.preventDefault();
    submit.disabled = true;
    message.textContent = "";
    try {
      await post("sign-in", { name: user.value, pin: pin.value });
      await signedIn();
    } catch (error) {
      fill(message, wrong(error));
      pin.value = "";
      pin.focus();
    } finally { submit.disabled = false; }
  }
  const pad = h("div", { class: "pad", role: "group", "aria-label": t("Digits") },
    ["1", "2", "3", "4", "5", "6", "7", "8", "9"].map((digit) => button(digit, () => { pin.value += digit; })),
    button(t("Clear"), () => { pin.value = ""; }), button("0", () => { pin.value += "0"; }));
  setTimeout(() => pin.focus(), 0);
  const notice = h("p", { class: "aid" });
  const health = h("ul", { class: "health" });
  function stands(found) {
    fill(notice, said(found.notice));
    fill(health, found.health.map((part) => h("li", { class: part.problem ? "bad" : "good" },
      h("b", {}, t(part.name)), " ", part.problem ? said(part.problem) : t("ready"))));
  }
  stands(welcome);
  async function look() {
    if (!health.isConnected) return;
    try { stands(await get("welcome")); } catch (error) { fill(health, h("li", { class: "bad" }, wrong(error))); }
    setTimeout(look, LOOK_AGAIN_MS);
  }
  setTimeout(look, LOOK_AGAIN_MS);
  return h("main", { class: "signin" },
    h("h1", {}, t("ROP screening")),
    notice,
    h("div", { class: "columns" },
      h("form", { onsubmit: enter },
        h("label", { for: "user" }, t("User")), user,
        h("label", { for: "pin" }, t("PIN")), pin, pad, submit, message,
        welcome.hint ? h("p", { class: "quiet" }, said(welcome.hint)) : null),
      h("section", { "aria-label": t("State of the cart") },
        h("h2", {}, welcome.station),
        health,
        button(t("Look again"), again, { class: "plain" }),
        h("label", { for: "language" }, t("Language")),
        h("select", { id: "language", onchange: (event) => choose(event.target.value) }, welcome.languages.map((one) =>
          h("option", { value: one.code, selected: one.code === language(), lang: one.code }, one.name))))));
}
