// Small helpers of the page: elements, numbers and names as people read them, one place to announce things.

export const $ = (id) => document.getElementById(id);
export const short = (id) => (id.length > 11 ? `${id.slice(0, 4)}…${id.slice(-4)}` : id);
export const many = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
export const split = (text, mark) => text.split(mark).map((part) => part.trim()).filter(Boolean);

// Whatever comes from the service goes in as `children` or attributes, so as text and never as markup.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// For screen readers: announces progress, not every word.
export function announce(text) {
  $("status").textContent = text;
}

// Calls `act` once it was quiet for so long, in ms.
export function calm(act, quiet) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(act, quiet, ...given);
  };
}
