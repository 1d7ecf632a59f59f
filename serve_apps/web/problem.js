// What went wrong, in a box: the service's words, and what can be done about it: wait, try again, give a key.

import { announce, make } from "./dom.js";
import { AWAY, BROKEN, useKey } from "./service.js";

const TITLES = {
  [AWAY]: "The service is away.", [BROKEN]: "That broke off.", 401: "A key is needed.", 403: "This key may not do that.",
  404: "That isn't here.", 409: "That is under way already.", 422: "That can't be asked for.", 429: "That was too much at once.", 503: "The service is busy.",
};
const timers = new WeakMap();

// Fill the box `place`; `retry` is called once the person has done what is needed.
export function complain(place, error, retry) {
  settle(place);
  const said = make("div", { role: "alert" });
  place.append(said);
  place.hidden = false;
  said.append(make("strong", {}, TITLES[error.status] || "That did not work."), error.message);
  if (!retry) return;
  const again = () => {
    settle(place);
    retry();
  };
  if (error.status === 401 || error.status === 403) askForKey(place, again);
  else if (error.status <= 0 || error.status === 408 || error.status === 409 || error.status === 429 || error.status >= 500) {
    offer(place, error.retryAfter, again);
  }
}

export function settle(place) {
  clearInterval(timers.get(place));
  place.replaceChildren();
  place.hidden = true;
}

function offer(place, wait, again) {
  const button = make("button", { type: "button", class: "soft", onclick: again });
  place.append(button);
  const due = Date.now() + 1000 * wait; // a timer in a hidden tab is late
  const tick = () => {
    const left = Math.ceil((due - Date.now()) / 1000);
    button.disabled = left > 0;
    button.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
    if (left > 0) return;
    clearInterval(timers.get(place));
    if (wait) announce("You can try again now.");
  };
  timers.set(place, setInterval(tick, 250));
  tick();
}

function askForKey(place, again) {
  const field = make("input", {
    type: "password", class: "find", autocomplete: "off", spellcheck: "false", maxlength: "400", "aria-label": "Key of the service",
  });
  const given = (event) => {
    event.preventDefault();
    const key = field.value.trim();
    const good = /^[\x21-\x7e]+$/.test(key); // anything else can't stand in a header
    field.setCustomValidity(good ? "" : "A key has letters, digits and signs, without spaces.");
    if (!field.reportValidity()) return;
    useKey(key);
    again();
  };
  field.addEventListener("input", () => field.setCustomValidity(""));
  const hint = make("span", { class: "hint" }, "It is kept in this tab only, until you close it.");
  place.append(make("form", { class: "key", onsubmit: given }, field, make("button", { class: "soft" }, "Use this key"), hint));
  field.focus();
}
