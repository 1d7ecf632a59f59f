// The page: choose a person and a place, ask for a showcase, ask again with another dial or other wishes.

import { choices, chosen } from "./choose.js";
import { $, announce, calm, make, many, split } from "./dom.js";
import { complain, settle } from "./problem.js";
import { BROKEN, post, stream } from "./service.js";
import { foot, frame, halted, write } from "./showcase.js";
import { textTools } from "./texts.js";

const PATH = "/v1/showcases";
const CANDIDATES = 3; // where there is something to choose by
const EXAMPLES = {
  keywords: ["ramen", "pizza", "sushi", "latte art", "garden tables"],
  past: ["The ramen was rich and the egg just right.", "Best pizza in town!!! Crispy and cheesy.", "Cozy room, warm light, and the latte art is lovely."],
};
const now = { asking: null, others: null, body: null, seed: 0, theta: null }; // theta null: the model's own

// --- the request --- ---------------------------------------------------------------------------------------------

function wish() {
  const body = { ...person(), business_id: chosen("business"), k: Number($("k").value), ...text() };
  if (!body.business_id) throw new Error("Choose a restaurant first.");
  if (now.theta !== null) body.theta = now.theta;
  return body;
}

function person() {
  if (chosen("kind") === "known") {
    if (!chosen("user")) throw new Error("Choose a guest first.");
    return { user_id: chosen("user") };
  }
  const said = split($("past").value, "\n"), likes = split($("keywords").value, ",");
  if (!said.length && !likes.length) throw new Error("Write a favourite dish or a sentence or two first, so that we get to know them.");
  return { ...(said.length && { past_reviews: said }), ...(likes.length && { keywords: likes }) };
}

function text() {
  const include = split($("include").value, ","), exclude = split($("exclude").value, ","), tone = $("tone").value;
  const several = include.length || tone !== "own"; // they choose among candidates, which are not streamed
  return {
    ...(include.length && { include }), ...(exclude.length && { exclude }), ...(tone !== "own" && { tone }),
    ...($("supported").checked && { supported_only: true }), ...(several && { n: CANDIDATES, seed: now.seed }),
  };
}

// --- asking -------------------------------------------------------------------------------------------------------

async function ask(body) {
  now.asking?.abort(); // the newest counts
  now.others?.abort();
  const mine = (now.asking = new AbortController());
  now.body = body;
  waiting(true);
  let shown = null;
  const steps = {
    photos: ({ photos }) => {
      shown = frame(body, photos);
      show("showcase");
      announce(`${many(photos.length, "photo")} chosen. Writing.`);
    },
    text: ({ piece }) => write(piece),
    showcase: (answer) => finish(shown, answer, body),
  };
  try {
    for await (const [name, data] of streamShowcase(body, mine.signal)) {
      if (mine.signal.aborted) return;
      steps[name](data);
    }
  } catch (error) {
    if (!mine.signal.aborted) fail(error, () => ask(body), shown);
  } finally {
    if (now.asking === mine) waiting(false);
  }
}

async function* streamShowcase(body, signal) {
  if (!body.n) return yield* stream(PATH, body, "showcase", signal);
  const answer = await post(PATH, body, signal);
  yield* [["photos", answer], ["showcase", answer]];
}

function finish(shown, answer, body) {
  const more = () => {
    now.others?.abort();
    now.others = new AbortController();
    return post(PATH, { ...body, n: CANDIDATES, seed: ++now.seed }, now.others.signal);
  };
  const tools = textTools(shown, answer, more);
  $("showcase").append(tools, foot(answer, body));
  remember(body);
  if (now.theta === null) stand(answer.theta, `the model's own, ${answer.theta}`);
}

function remember({ user_id, business_id, k, theta }) {
  const query = new URLSearchParams({ user: user_id, business: business_id, k, ...(theta !== undefined && { theta }) });
  history.replaceState(null, "", user_id ? `?${query}` : "/");
}

// --- what is seen -------------------------------------------------------------------------------------------------

function show(part) {
  for (const name of ["empty", "loading", "showcase"]) $(name).hidden = name !== part;
  $("dial").hidden = part === "empty";
}

function waiting(on) {
  $("stage").setAttribute("aria-busy", on);
  if (!on) return;
  settle($("error"));
  if ($("showcase").hidden) show("loading"); // else the old one stays until the new photos come
  announce("Making the showcase.");
}

function fail(error, retry, shown) {
  announce("");
  if (shown) halted();
  else if ($("showcase").hidden) show("empty");
  if (error.status === 401 || error.status === 403) refused(error, retry);
  else complain($("error"), error, retry && (() => { $("stage").focus({ preventScroll: true }); retry(); }));
  $("error").scrollIntoView({ block: "nearest" });
}

const refusals = []; // what to do again once there is a key
function refused(error, retry) {
  refusals.push(retry);
  complain($("error"), error, () => refusals.splice(0).forEach((again) => again()));
}

function toStage() { // on a phone it is below the chooser
  if (matchMedia("(max-width: 960px)").matches) $("stage").scrollIntoView({ block: "start" });
}

function submit(event) {
  event.preventDefault();
  try {
    const body = wish();
    toStage();
    ask(body);
  } catch (error) {
    complain($("error"), error);
    $("error").scrollIntoView({ block: "nearest" });
  }
}

// --- controls -----------------------------------------------------------------------------------------------------

function turn(theta) {
  now.theta = theta;
  if (theta === null) stand($("theta").defaultValue, "the model's own");
  else stand(theta, String(theta));
  $("theta-reset").disabled = theta === null;
}

function stand(value, label) { // sets the dial
  const dial = $("theta");
  dial.value = value;
  dial.setAttribute("aria-valuetext", label);
  $("theta-now").textContent = label;
}

function dial() {
  const again = calm(() => {
    const { theta, ...body } = now.body ?? {};
    if (body.business_id) ask(now.theta === null ? body : { ...body, theta: now.theta });
  }, 350);
  $("theta").addEventListener("input", () => { turn(Number($("theta").value)); again(); });
  $("theta-reset").addEventListener("click", () => { turn(null); $("theta").focus(); again(); });
}

function somebodyNew() {
  for (const [id, mark] of [["keywords", ", "], ["past", "\n"]]) {
    const add = (words) => () => { $(id).value = [$(id).value.trim().replace(/,$/, ""), words].filter(Boolean).join(mark); };
    $(`${id}-chips`).append(...EXAMPLES[id].map((words) => make("button", { type: "button", "aria-label": `Add: ${words}`, onclick: add(words) }, words)));
  }
  const change = () => {
    $("known").hidden = chosen("kind") === "new";
    $("new").hidden = chosen("kind") !== "new";
  };
  for (const radio of document.querySelectorAll('input[name="kind"]')) radio.addEventListener("change", change);
  change(); // the browser may restore it on reload
}

async function start() {
  somebodyNew();
  dial();
  $("chooser").addEventListener("submit", submit);
  const wanted = Object.fromEntries(new URLSearchParams(location.search));
  if (wanted.k) $("k").value = wanted.k;
  turn(Number.isFinite(parseFloat(wanted.theta)) ? parseFloat(wanted.theta) : null);
  await choices(refused, wanted.user, wanted.business);
  if (!$("error").hidden) $("error").scrollIntoView({ block: "nearest" }); // the lists have moved it
  if (!wanted.user || !wanted.business) return;
  toStage();
  const theta = now.theta === null ? {} : { theta: now.theta };
  await ask({ user_id: wanted.user, business_id: wanted.business, k: Number(wanted.k || 3), ...theta });
}

start();
