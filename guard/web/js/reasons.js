// What guard's reason codes mean, in the language of the page (docs/reasons.md).

import { language } from "./texts.js";

let words = {};
let known = null;

/** Fetches the words of the page's language, once for each; throws where the server has none. */
export async function learnReasons() {
  const wanted = language;
  if (known === wanted) return;
  const response = await fetch(`/api/v1/reasons/${wanted}`);
  if (!response.ok) throw new Error(`reasons: ${response.status}`);
  const learnt = await response.json();
  if (wanted === language) [words, known] = [learnt, wanted];
}

/** Returns what a code means; the code itself where this server has no words for it. */
export const reason = (code) => words[code] ?? code;
