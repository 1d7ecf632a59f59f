// The page: choose a person and a place, ask for a showcase, show which sentence speaks of which photo.
// Everything that comes from the service goes into the page as text, never as markup.

const $ = (id) => document.getElementById(id);
const LIMIT = 40;
const EXAMPLES = [
  "The ramen was rich and the egg just right.",
  "Best pizza in town!!! Crispy and cheesy.",
  "Cozy room, warm light, and the latte art is lovely.",
  "Fresh sushi, we had the salmon rolls again.",
];

const short = (id) => (id.length > 11 ? `${id.slice(0, 4)}…${id.slice(-4)}` : id);
const photoUrl = (id) => `/v1/photos/${encodeURIComponent(id)}`;
const many = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const thumb = (id) => make("img", { src: photoUrl(id), alt: "", loading: "lazy", width: 46, height: 46 });

async function call(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The service can't be reached. Is it still running?");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail || `The service answered ${answer.status}.`);
  return body;
}

// --- choosing -----------------------------------------------------------------------------------------------------

function hue(id) {
  let sum = 0;
  for (const letter of id) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  return sum;
}

function dot(id) {
  const mark = make("span", { class: "dot", "aria-hidden": "true" });
  mark.style.background = `linear-gradient(140deg, hsl(${hue(id)} 62% 74%), hsl(${hue(id) + 40} 55% 52%))`;
  return mark;
}

function option(group, id, label, ...content) {
  const input = make("input", { type: "radio", name: group, value: id, "aria-label": label });
  return make("label", { class: "pick", title: id }, input, make("span", { class: "body" }, ...content));
}

function userCard(user) {
  const meta = `${many(user.reviews, "review")} · ${many(user.photos, "photo")}`;
  const head = make("span", { class: "line" }, dot(user.user_id),
    make("span", { class: "name" }, `Guest ${short(user.user_id)}`), make("span", { class: "meta" }, meta));
  const parts = [head];
  if (user.snippet) parts.push(make("span", { class: "words" }, `“${user.snippet}”`));
  if (user.photo_ids.length) parts.push(make("span", { class: "thumbs" }, ...user.photo_ids.map(thumb)));
  return option("user", user.user_id, `Guest ${short(user.user_id)}, ${meta}. Writes: ${user.snippet}`, ...parts);
}

function businessCard(business) {
  const rating = business.rating === null ? "" : ` · ${business.rating.toFixed(1)} ★`;
  const meta = `${many(business.photos, "photo")}${rating}`;
  const few = business.photo_ids.length < 4 ? " few" : "";
  const shown = few ? business.photo_ids.slice(0, 1) : business.photo_ids.slice(0, 4);
  return option("business", business.business_id, `Restaurant ${short(business.business_id)}, ${meta}`,
    make("span", { class: `mosaic${few}` }, ...shown.map(thumb)),
    make("span", { class: "name" }, `No. ${short(business.business_id)}`),
    make("span", { class: "meta" }, meta));
}

const lists = {
  users: { path: "/v1/users", card: userCard, group: "user", key: "user_id" },
  businesses: { path: "/v1/businesses", card: businessCard, group: "business", key: "business_id" },
};

const chosen = (group) => document.querySelector(`input[name="${group}"]:checked`)?.value;
const latest = {};

async function fill(name, query = "", want = chosen(lists[name].group)) {
  const { path, card, group, key } = lists[name];
  const turn = (latest[name] = (latest[name] || 0) + 1);
  const search = new URLSearchParams({ limit: LIMIT, query });
  try {
    const rows = await call(`${path}?${search}`);
    if (turn !== latest[name]) return; // a later search has answered
    if (want && !query && !rows.some((row) => row[key] === want)) rows.unshift(...(await call(`${path}?${new URLSearchParams({ limit: 1, query: want })}`)));
    const nothing = query ? `Nothing found for “${query}”.` : "Nothing here yet: publish a catalog first.";
    $(name).replaceChildren(...(rows.length ? rows.map(card) : [make("p", { class: "none" }, nothing)]));
    const box = [...document.querySelectorAll(`input[name="${group}"]`)].find((input) => input.value === want);
    if (box) box.checked = true;
  } catch (error) {
    $(name).replaceChildren(make("p", { class: "none" }, error.message));
  }
}

function search(box, name) {
  let timer;
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => fill(name, box.value.trim()), 200);
  });
  box.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
}

function switchKind() {
  const isNew = document.querySelector('input[name="kind"]:checked').value === "new";
  $("known").hidden = isNew;
  $("new").hidden = !isNew;
}

// --- asking -------------------------------------------------------------------------------------------------------

const parts = (text, mark) => text.split(mark).map((part) => part.trim()).filter(Boolean);

function wish() {
  const body = { business_id: chosen("business"), k: Number($("k").value) };
  if (document.querySelector('input[name="kind"]:checked').value === "new") {
    const said = parts($("past").value, "\n"), likes = parts($("keywords").value, ",");
    if (!said.length && !likes.length) throw new Error("Write a sentence or two first, or what this guest likes, so that we get to know them.");
    if (said.length) body.past_reviews = said;
    if (likes.length) body.keywords = likes;
  } else {
    body.user_id = chosen("user");
    if (!body.user_id) throw new Error("Choose a guest first.");
  }
  if (!body.business_id) throw new Error("Choose a restaurant first.");
  return body;
}

function show(part) {
  for (const name of ["empty", "error", "loading", "showcase"]) $(name).hidden = name !== part;
}

function fail(error, keep = false) {
  if (!keep) show("empty");
  $("error").hidden = false;
  $("error").replaceChildren(make("strong", {}, "That did not work."), error.message);
  $("status").textContent = "";
}

async function submit(event) {
  event.preventDefault();
  let body;
  try {
    body = wish();
  } catch (error) {
    fail(error, true);
    $("error").scrollIntoView({ block: "nearest" });
    return;
  }
  await ask(body);
}

async function ask(body) {
  const button = $("make");
  button.disabled = true;
  button.textContent = "Choosing and writing …";
  show("loading");
  $("status").textContent = "Making the showcase.";
  toStage();
  try {
    const answer = await call("/v1/showcases", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    render(answer, body);
    remember(body);
  } catch (error) {
    fail(error);
  } finally {
    button.disabled = false;
    button.textContent = "Make the showcase";
  }
}

function remember(body) {
  const query = body.user_id ? `?${new URLSearchParams({ user: body.user_id, business: body.business_id, k: body.k })}` : "/";
  history.replaceState(null, "", query);
}

// --- showing ------------------------------------------------------------------------------------------------------

function render(answer, body) {
  const numbers = new Map(answer.photos.map((photo, index) => [photo.photo_id, index + 1]));
  const who = body.user_id ? `Guest ${short(body.user_id)}` : "a new guest";
  const article = $("showcase");
  const figures = answer.photos.map((photo) => figure(photo, numbers.get(photo.photo_id), answer.business_id));
  const photos = make("div", { class: "photos", "data-count": figures.length }, ...figures);
  const sentences = make("ol", { class: "sentences", "aria-label": "What this guest might say" });
  for (const sentence of answer.sentences) sentences.append(line(sentence, numbers, article));
  if (!answer.sentences.length) sentences.append(make("li", { class: "none" }, "No words came for these photos."));
  for (const item of figures) {
    const toggle = (on) => () => lightSentences(article, on ? item.dataset.id : null);
    item.addEventListener("mouseenter", toggle(true));
    item.addEventListener("mouseleave", toggle(false));
  }
  const title = make("h1", {}, `Restaurant ${short(answer.business_id)}`);
  article.replaceChildren(make("p", { class: "for" }, `For ${who}`), title, photos, sentences, foot(answer, body));
  show("showcase");
  $("status").textContent = `Showcase ready: ${many(figures.length, "photo")}, ${many(answer.sentences.length, "sentence")}.`;
}

function toStage() { // on a phone the stage is below the chooser
  if (matchMedia("(max-width: 960px)").matches) $("stage").scrollIntoView({ block: "start" });
}

function figure(photo, number, business) {
  const image = make("img", { src: photo.url, alt: `Photo ${number} of restaurant ${short(business)}` });
  const element = make("figure", { title: `relevance ${photo.relevance.toPrecision(3)}` }, image, make("figcaption", {}, String(number)));
  element.dataset.id = photo.photo_id;
  return element;
}

function line(sentence, numbers, article) {
  const item = make("li", { tabindex: "0" }, sentence.text);
  item.dataset.photos = JSON.stringify(sentence.photos);
  if (sentence.photos.length) {
    const shown = sentence.photos.map((id) => numbers.get(id)).sort((a, b) => a - b);
    const cites = make("span", { class: "cites", title: `probability ${sentence.score.toFixed(2)}` },
      make("span", { class: "sr-only" }, `(describes photo ${shown.join(", ")})`),
      ...shown.map((number) => make("span", { "aria-hidden": "true" }, String(number))));
    item.append(cites);
  }
  const on = () => lightPhotos(article, item);
  const off = () => lightPhotos(article, null);
  for (const [name, act] of [["mouseenter", on], ["focus", on], ["mouseleave", off], ["blur", off]]) item.addEventListener(name, act);
  return item;
}

function lightPhotos(article, item) {
  const ids = item ? JSON.parse(item.dataset.photos) : [];
  for (const other of article.querySelectorAll("li")) other.classList.toggle("on", other === item);
  for (const element of article.querySelectorAll("figure")) element.classList.toggle("on", ids.includes(element.dataset.id));
  article.querySelector(".photos").classList.toggle("lit", ids.length > 0);
}

function lightSentences(article, id) {
  for (const item of article.querySelectorAll("li[data-photos]")) {
    item.classList.toggle("on", id !== null && JSON.parse(item.dataset.photos).includes(id));
  }
}

function foot(answer, body) {
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
    const rows = await call(`/v1/users/${encodeURIComponent(body.user_id)}/reviews`);
    const others = rows.filter((row) => row.business_id !== body.business_id).slice(0, 5);
    details.append(...others.map((row) => make("blockquote", {}, row.text)));
    if (!others.length) details.append(make("p", {}, "They wrote about this place only."));
  } catch (error) {
    details.append(make("p", {}, error.message));
  }
}

// --- start --------------------------------------------------------------------------------------------------------

async function start() {
  for (const radio of document.querySelectorAll('input[name="kind"]')) radio.addEventListener("change", switchKind);
  for (const text of EXAMPLES) {
    const add = () => { $("past").value += ($("past").value ? "\n" : "") + text; };
    document.querySelector(".chips").append(make("button", { type: "button", onclick: add }, text));
  }
  search($("find-user"), "users");
  search($("find-business"), "businesses");
  $("chooser").addEventListener("submit", submit);
  switchKind();
  const wanted = new URLSearchParams(location.search);
  if (wanted.get("k")) $("k").value = wanted.get("k");
  await Promise.all([fill("users", "", wanted.get("user")), fill("businesses", "", wanted.get("business"))]);
  const body = { user_id: wanted.get("user"), business_id: wanted.get("business"), k: Number(wanted.get("k") || 3) };
  if (body.user_id && body.business_id) await ask(body);
}

start();
