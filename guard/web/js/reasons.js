// What guard's reason codes mean, in the language of the page (docs/reasons.md).

import { make } from "./dom.js";
import { language } from "./texts.js";

let words = {};
let known = null;
const listeners = [];

/** Calls back whenever words have been learnt. */
export function onReasons(callback) {
  listeners.push(callback);
}

/** Fetches the words of the page's language, once for each; throws where the server has none. */
export async function learnReasons() {
  const wanted = language;
  if (known === wanted) return;
  const response = await fetch(`/api/v1/reasons/${wanted}`);
  if (!response.ok) throw new Error(`reasons: ${response.status}`);
  const learnt = await response.json();
  if (wanted !== language || known === wanted) return;
  [words, known] = [learnt, wanted];
  for (const callback of listeners) callback();
}

/** Returns what a code means; the code itself where this server has no words for it. */
export const reason = (code) => words[code] ?? code;

/** Returns list items for codes, strongest first; `data-reason` carries the code. */
export const reasonItems = (codes, most) => codes.slice(0, most)
  .map((code) => make("li", { "data-reason": code, textContent: reason(code) }));

/** Returns a list item for what somebody did about a warning, in their own words. */
export const decisionItem = ({ at, by, action, reason: words }) => make("li", {
  "data-decision": action,
  textContent: `${new Date(at).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" })} ${by}: ${words}`,
});
