// Below a showcase: its other candidate texts, the text put into one's own words, and a rating of it.

import { make, many } from "./dom.js";
import { complain, settle } from "./problem.js";
import { newKey, post } from "./service.js";
import { ready, tell } from "./showcase.js";

const MARKS = ["poor", "fair", "good", "very good", "just right"];

const words = (text) => text.sentences.map((sentence) => sentence.text).join(" ");
const now = (text) => text.edited ?? words(text);

// The texts of an answer, the preferred one first; each knows the request that it came from.
export function textsOf(answer) {
  const { request_id, models } = answer;
  return [answer, ...answer.alternatives].map(({ sentences, missing, unsupported }) => (
    { sentences, missing, unsupported, request_id, models }));
}

// Show the first text of an answer, and the tools under it. `more` gives another answer about the same photos.
export function textTools(shown, answer, more) {
  const box = make("div", { class: "error", hidden: "" });
  const desk = { shown, more, box, texts: textsOf(answer), at: 0, below: make("div"), others: make("div") };
  desk.thanks = make("p", { class: "thanks", role: "status" });
  desk.found = make("p", { class: "note", role: "status" });
  desk.moreButton = make("button", { type: "button", class: "soft", onclick: () => findOthers(desk) }, "Other texts");
  desk.editButton = make("button", { type: "button", class: "soft", onclick: () => edit(desk) }, "Edit the text");
  const tools = make("div", { class: "tools" }, desk.moreButton, desk.editButton, rating(desk));
  renderOthers(desk);
  tell(desk.texts[0]);
  ready(desk.texts[0]);
  return make("section", { "aria-label": "The text" }, tools, desk.below, box, desk.thanks, desk.found, desk.others);
}

function choose(desk, at) {
  desk.at = at;
  tell(desk.texts[at]);
  closeEditor(desk);
  desk.thanks.textContent = "";
  for (const mark of desk.marks.querySelectorAll("input")) mark.checked = false; // the rating was of another text
}

// --- other candidates ---------------------------------------------------------------------------------------------

function renderOthers(desk) {
  if (desk.texts.length < 2) return;
  const cards = desk.texts.map((text, number) => make("label", { class: "pick" },
    make("input", { type: "radio", name: "text", value: number, onchange: () => choose(desk, number), ...(number === desk.at && { checked: "" }) }),
    make("span", { class: "body" }, make("span", { class: "name" }, `Text ${number + 1} `), make("span", { class: "text" }, now(text) || "(no words)"))));
  desk.others.replaceChildren(make("fieldset", { class: "others" }, make("legend", {}, "Which text do you like best?"), ...cards));
}

async function findOthers(desk) {
  settle(desk.box);
  desk.moreButton.setAttribute("aria-busy", "true");
  desk.found.textContent = "";
  try {
    add(desk, textsOf(await desk.more()));
  } catch (error) {
    if (error.name !== "AbortError") complain(desk.box, error, () => findOthers(desk));
  } finally {
    desk.moreButton.removeAttribute("aria-busy");
  }
}

function add(desk, found) {
  const before = desk.texts[desk.at];
  const said = new Set([words(before)]);
  const fresh = found.filter((text) => words(text) && !said.has(words(text)) && said.add(words(text)));
  desk.found.textContent = fresh.length ? `${many(fresh.length, "other text")} below.` : "The model found no other words for these photos; ask once more.";
  if (!fresh.length) return;
  Object.assign(desk, { texts: [before, ...fresh], at: 0 });
  renderOthers(desk);
}

// --- editing ------------------------------------------------------------------------------------------------------

function edit(desk) {
  const area = make("textarea", { rows: 4, maxlength: 4000, "aria-label": "The text in your words" });
  area.value = now(desk.texts[desk.at]);
  const cancel = () => {
    closeEditor(desk);
    desk.editButton.focus();
  };
  area.addEventListener("keydown", (event) => event.key === "Escape" && cancel());
  const save = make("button", { type: "button", class: "strong", onclick: () => keepEdit(desk, area) }, "Save");
  const stop = make("button", { type: "button", class: "soft", onclick: cancel }, "Cancel");
  desk.editButton.hidden = true;
  desk.below.replaceChildren(make("div", { class: "editor" }, area, save, stop));
  area.focus();
}

function closeEditor(desk) {
  settle(desk.box);
  desk.below.replaceChildren();
  desk.editButton.hidden = false;
}

async function keepEdit(desk, area, key = newKey()) {
  const text = desk.texts[desk.at], edited = area.value.trim();
  if (!edited || edited === now(text)) {
    desk.thanks.textContent = edited ? "Nothing was changed." : "Write a word or two first.";
    return;
  }
  const again = () => keepEdit(desk, area, area.value.trim() === edited ? key : newKey());
  const saved = await send(desk, text, { edited_text: edited }, "Thank you: your words are kept.", again, key);
  if (!saved) return;
  text.edited = edited;
  renderOthers(desk);
  if (text !== desk.texts[desk.at]) return; // another was chosen meanwhile
  tell(text);
  closeEditor(desk);
  desk.editButton.focus();
}

// --- rating -------------------------------------------------------------------------------------------------------

function rating(desk) {
  const mark = (name, index) => make("label", { title: name },
    make("input", { type: "radio", name: "rating", value: index + 1, "aria-label": `${index + 1} of 5, ${name}` }),
    make("span", { "aria-hidden": "true" }, String(index + 1)));
  const rate = () => {
    const picked = marks.querySelector("input:checked");
    if (picked) keepRating(desk, Number(picked.value));
    else desk.thanks.textContent = "Choose one of the five first.";
  };
  const marks = make("fieldset", { class: "marks" }, make("legend", {}, "How good is it?"), ...MARKS.map(mark),
    make("button", { type: "button", class: "soft", onclick: rate }, "Rate"));
  return (desk.marks = marks);
}

function keepRating(desk, value, text = desk.texts[desk.at], key = newKey()) {
  const again = () => keepRating(desk, value, text, key);
  return send(desk, text, { rating: value }, `Thank you: ${value} of 5 is kept.`, again, key);
}

// Whether the service stored it; `key` is the same for every retry.
async function send(desk, text, opinion, thanks, again, key) {
  const { body, photos } = desk.shown;
  settle(desk.box);
  desk.thanks.textContent = "";
  const feedback = { request_id: text.request_id, business_id: body.business_id, models: text.models,
    photo_ids: photos.map((photo) => photo.photo_id), text: words(text), ...opinion };
  if (body.user_id) feedback.user_id = body.user_id;
  try {
    await post("/v1/feedback", feedback, { headers: { "Idempotency-Key": `"${key}"` } });
  } catch (error) {
    complain(desk.box, error, again);
    return false;
  }
  desk.thanks.textContent = thanks;
  return true;
}
