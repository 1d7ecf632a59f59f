// The lists to choose from: guests and restaurants, each a radio group with a search box.

import { $, calm, make, many, short } from "./dom.js";
import { complain } from "./problem.js";
import { get, photo, photoUrl } from "./service.js";

const LIMIT = 40;

const thumb = (id) => photo(photoUrl(id), { alt: "", loading: "lazy", width: 46, height: 46 });

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
const latest = {};

export const chosen = (group) => document.querySelector(`input[name="${group}"]:checked`)?.value;

// Fill a list with the query's results, page by page; `refused` handles errors that a key would fix.
async function fill(name, refused, query = "", want = chosen(lists[name].group)) {
  const { path, card, group, key } = lists[name];
  const turn = (latest[name] = (latest[name] || 0) + 1);
  const find = (cursor) => get(`${path}?${new URLSearchParams({ limit: LIMIT, query, cursor })}`);
  try {
    const page = await find("");
    const first = want && !query && !page.items.some((row) => row[key] === want) ? await known(path, want) : [];
    if (turn !== latest[name]) return; // a later search goes before
    const nothing = query ? `Nothing found for “${query}”.` : "Nothing here yet: publish a catalog first.";
    const cards = [...first, ...page.items].map(card);
    $(name).replaceChildren(...(cards.length ? cards : [make("p", { class: "none" }, nothing)]));
    follow(name, page, page.items.length, find, () => turn === latest[name]);
    const box = [...document.querySelectorAll(`input[name="${group}"]`)].find((input) => input.value === want);
    if (box) box.checked = true;
  } catch (error) {
    if (turn !== latest[name]) return;
    const again = () => fill(name, refused, query, want);
    const place = make("div", { class: "error" });
    $(name).replaceChildren(place);
    if (error.status === 401 || error.status === 403) {
      place.replaceWith(make("p", { class: "none" }, "The service wants a key first."));
      refused(error, again);
    } else complain(place, error, again);
  }
}

// One row by its id, if there is such a row.
async function known(path, id) {
  try {
    return [await get(`${path}/${encodeURIComponent(id)}`)];
  } catch (error) {
    if (error.status === 404 || error.status === 422) return [];
    throw error;
  }
}

// While a page follows: a button at the list's end that says how many rows are shown, and shows more.
function follow(name, { total, next_cursor: cursor }, shown, find, current) {
  if (!cursor) return;
  const button = make("button", { type: "button", class: "more" }, `Show more (${shown} of ${total})`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const page = await find(cursor);
      if (!current()) return;
      const here = new Set([...$(name).querySelectorAll("input")].map((input) => input.value));
      const cards = page.items.filter((row) => !here.has(row[lists[name].key])).map(lists[name].card);
      button.replaceWith(...cards);
      cards[0]?.querySelector("input").focus(); // or a reader by keyboard would start at the top again
      follow(name, page, shown + page.items.length, find, current);
    } catch (error) {
      const place = make("div", { class: "error" });
      button.replaceWith(place);
      complain(place, error, () => { place.replaceWith(button); button.disabled = false; button.click(); });
    }
  });
  $(name).append(button);
}

// Fill both lists and make their boxes search.
export function choices(refused, user, business) {
  for (const [id, name] of [["find-user", "users"], ["find-business", "businesses"]]) {
    const box = $(id);
    box.addEventListener("input", calm(() => fill(name, refused, box.value.trim()), 200));
    box.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  }
  return Promise.all([fill("users", refused, "", user), fill("businesses", refused, "", business)]);
}
