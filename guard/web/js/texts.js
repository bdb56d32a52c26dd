// The page's words in Kazakh, Russian and English.

const LANGUAGES = ["kk", "ru", "en"];
const KEPT = "guard.language";

let words = {};
export let language = "ru";
const listeners = [];

/** Calls back after every change of language. */
export function onLanguage(callback) {
  listeners.push(callback);
}

/** Returns a text; `{name}` in it is replaced by values.name. An unknown key is shown as it is. */
export function t(key, values = {}) {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

function preferred() {
  const kept = localStorage.getItem(KEPT);
  const wanted = [kept, ...navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase())];
  return wanted.find((tag) => LANGUAGES.includes(tag)) ?? "ru";
}

/** Loads a language (or the preferred one) and writes it into the page. */
export async function speak(tag = preferred()) {
  const response = await fetch(`/web/locales/${tag}.json`);
  if (!response.ok) throw new Error(`texts: ${response.status}`);
  words = await response.json();
  language = tag;
  document.documentElement.lang = tag;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.dataset.tLabel));
  }
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === tag));
  }
  for (const callback of listeners) callback();
}

/** Makes the language buttons work. */
export function offerLanguages(container) {
  container.addEventListener("click", (event) => {
    const tag = event.target.dataset?.language;
    if (!tag) return;
    localStorage.setItem(KEPT, tag);
    speak(tag);
  });
}
