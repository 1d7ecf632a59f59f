// The service: JSON, server-sent events, photos, with a key where it wants one. Every failure is a Refused.

import { make } from "./dom.js";

const KEY = "showcases-key"; // in this tab alone: sessionStorage ends with it
export const AWAY = 0, BROKEN = -1; // in place of an HTTP status

export class Refused extends Error {
  constructor(message, status, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter; // s
  }
}

export const useKey = (key) => sessionStorage.setItem(KEY, key);

function keyed(headers) {
  const key = sessionStorage.getItem(KEY);
  return key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
}

function seconds(header) { // Retry-After is a number of seconds or a date
  const wait = header && !/^\d+$/.test(header) ? (Date.parse(header) - Date.now()) / 1000 : Number(header);
  return Math.max(0, Math.ceil(wait)) || 0;
}

async function answer(path, { headers, ...options } = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: keyed(headers) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The service can't be reached. Is it still running?", AWAY);
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  const wait = seconds(response.headers.get("Retry-After"));
  throw new Refused(said.detail || `The service answered ${response.status}.`, response.status, wait);
}

const posted = (body, more) => ({
  method: "POST", body: JSON.stringify(body), ...more, headers: { "Content-Type": "application/json", ...more.headers },
});

const brokenOff = () => new Refused("The answer broke off before it was whole.", BROKEN);

async function whole(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw brokenOff();
  }
}

export const get = async (path) => whole(await answer(path));
export const post = async (path, body, more = {}) => whole(await answer(path, posted(body, more)));

// For Idempotency-Key; crypto.randomUUID is there on HTTPS and localhost alone.
export const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

// Yields [name, data] of each event until `last` has come. EventSource can't POST, so the stream is read by hand.
export async function* stream(path, body, last, signal) {
  const response = await answer(path, posted(body, { signal, headers: { Accept: "text/event-stream" } }));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : brokenOff();
    });
    if (done) throw brokenOff();
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const [name, data] of blocks.filter((block) => block.includes("data: ")).map(event)) {
      if (name === "problem") throw new Refused(data.detail, data.status, data.retry_after);
      yield [name, data];
      if (name === last) return;
    }
  }
}

function event(block) {
  const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
  return [fields.event, JSON.parse(fields.data)];
}

// --- photos -------------------------------------------------------------------------------------------------------

export const photoUrl = (id) => `/v1/photos/${encodeURIComponent(id)}`;

const inSight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    inSight.unobserve(target);
    load(target);
  }
}, { rootMargin: "200px" });

async function load(image) { // an <img> sends no key, and the page's policy allows data: but no blob:
  try {
    const response = await answer(image.dataset.from);
    const reader = new FileReader();
    reader.onload = () => { image.src = reader.result; };
    reader.readAsDataURL(await response.blob());
  } catch {
    image.dispatchEvent(new Event("error"));
  }
}

export function photo(url, attributes) {
  const image = make("img", attributes);
  if (sessionStorage.getItem(KEY)) {
    image.dataset.from = url;
    inSight.observe(image);
  } else {
    image.src = url;
  }
  return image;
}
