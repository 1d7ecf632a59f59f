// A showcase as it comes: photos, the words as they are written, then sentences that light up their photos.

import { $, announce, make, many, short } from "./dom.js";
import { get, photo } from "./service.js";

let shown; // { body, photos, numbers by photo id, words: where the text goes }

const article = () => $("showcase");

// --- photos -------------------------------------------------------------------------------------------------------

export function frame(body, photos) {
  const numbers = new Map(photos.map(({ photo_id }, index) => [photo_id, index + 1]));
  const figures = photos.map((row) => figure(row, numbers.get(row.photo_id), body.business_id));
  shown = { body, photos, numbers, words: make("div", { class: "said" }) };
  const who = body.user_id ? `Guest ${short(body.user_id)}` : "a new guest";
  if (article().contains(document.activeElement)) $("stage").focus({ preventScroll: true }); // what had it goes away
  article().replaceChildren(
    make("p", { class: "for" }, `For ${who}`),
    make("h1", {}, `Restaurant ${short(body.business_id)}`),
    make("div", { class: "photos", "data-count": figures.length }, ...figures),
    shown.words,
  );
  shown.words.append(make("p", { class: "draft" }));
  return shown;
}

function figure({ photo_id, url, relevance }, number, business) {
  const image = photo(url, { alt: `Photo ${number} of restaurant ${short(business)}` });
  const element = make("figure", { title: `relevance ${relevance.toPrecision(3)}` }, image, make("figcaption", {}, String(number)));
  element.dataset.id = photo_id;
  image.addEventListener("error", () => image.replaceWith(make("p", { class: "gone" }, `${image.alt} can't be shown.`)));
  element.addEventListener("mouseenter", () => lightSentences(photo_id));
  element.addEventListener("mouseleave", () => lightSentences(null));
  return element;
}

// --- words --------------------------------------------------------------------------------------------------------

export function write(piece) {
  shown.words.querySelector(".draft").append(piece);
}

export function halted() { // what has come stays
  shown.words.querySelector(".draft")?.classList.add("halted");
  shown.words.append(make("p", { class: "note" }, "This showcase is incomplete."));
}

export function tell(text) {
  const list = make("ol", { class: "sentences", "aria-label": "What this guest might say" });
  const rows = text.edited ? [{ text: text.edited, photos: [] }] : text.sentences;
  list.append(...rows.map(line));
  if (!rows.length) list.append(make("li", { class: "none" }, "No words came for these photos."));
  shown.words.replaceChildren(list, ...notes(text).map((note) => make("p", { class: "note" }, note)));
}

function notes(text) {
  if (text.edited) return ["In your words, so no photos are named."];
  const left = text.unsupported && `${many(text.unsupported, "sentence")} left out: no photo shows what is said.`;
  const missing = text.missing.length && `It does not have: ${text.missing.join(", ")}.`;
  return [left, missing].filter(Boolean);
}

function line(sentence) {
  const item = make("li", { tabindex: "0" }, sentence.text);
  item.dataset.photos = JSON.stringify(sentence.photos);
  if (sentence.photos.length) {
    const cited = sentence.photos.map((id) => shown.numbers.get(id)).sort((a, b) => a - b);
    item.append(make("span", { class: "cites", title: `probability ${sentence.score.toFixed(2)}` },
      make("span", { class: "sr-only" }, `(describes photo ${cited.join(", ")})`),
      ...cited.map((number) => make("span", { "aria-hidden": "true" }, String(number)))));
  }
  const on = () => lightPhotos(item), off = () => lightPhotos(null);
  for (const [name, act] of [["mouseenter", on], ["focus", on], ["mouseleave", off], ["blur", off]]) item.addEventListener(name, act);
  return item;
}

function lightPhotos(item) {
  const ids = item ? JSON.parse(item.dataset.photos) : [];
  for (const other of article().querySelectorAll(".sentences li")) other.classList.toggle("on", other === item);
  for (const element of article().querySelectorAll("figure")) element.classList.toggle("on", ids.includes(element.dataset.id));
  article().querySelector(".photos").classList.toggle("lit", ids.length > 0);
}

function lightSentences(id) {
  for (const item of article().querySelectorAll("li[data-photos]")) {
    item.classList.toggle("on", id !== null && JSON.parse(item.dataset.photos).includes(id));
  }
}

// --- the end ------------------------------------------------------------------------------------------------------

export function ready(text) {
  const sentences = text.sentences.map((sentence) => sentence.text);
  announce(`Showcase ready: ${many(shown.photos.length, "photo")}, ${many(sentences.length, "sentence")}. ${sentences.join(" ")}`);
}

export function foot(answer, body) {
  const versions = Object.entries(answer.models).map(([role, model]) => `${role} v${model.version}`).join(", ");
  const known = [];
  if (body.user_id || answer.past_reviews) known.push(many(answer.past_reviews, "past review"));
  if (body.user_id) known.push(many(answer.past_photos, "past photo"));
  const places = known.length ? " about other places" : "";
  const keywords = answer.keywords ? [many(answer.keywords, "keyword")] : [];
  const element = make("footer", { class: "foot" },
    make("p", {}, `Made from ${[...keywords, known.join(" and ") + places].filter(Boolean).join(" and ")}, by ${versions}.`),
    make("p", {}, "Request ", make("code", {}, answer.request_id)));
  if (body.user_id) {
    const details = make("details", {}, make("summary", {}, "How this guest writes"));
    details.addEventListener("toggle", () => details.open && quotes(details, body), { once: true });
    element.append(details);
  }
  return element;
}

async function quotes(details, body) {
  try {
    const { items } = await get(`/v1/users/${encodeURIComponent(body.user_id)}/reviews`);
    const others = items.filter((row) => row.business_id !== body.business_id).slice(0, 5);
    details.append(...others.map((row) => make("blockquote", {}, row.text)));
    if (!others.length) details.append(make("p", {}, "They wrote about this place only."));
  } catch (error) {
    details.append(make("p", {}, error.message));
  }
}
