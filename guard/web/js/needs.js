// "I cannot do this": what makes a command impossible, so that others are asked. Nobody fails for it. The person who is
// checked says it in the form; whoever starts a check may tick the same beforehand.

import { make } from "./dom.js";
import { onLanguage, t } from "./texts.js";

const NEEDS = ["no_hands", "no_sight", "no_hearing", "no_speech", "head_covering", "glasses", "light_sensitive", "no_turning"];
// where the form begins, by what was asked: nothing is ticked for anybody
const LIKELY = {
  cover_mouth: "no_hands", cover_eye: "no_hands", follow_dot: "no_sight", say_words: "no_speech",
  blink_twice: "glasses", screen_light: "light_sensitive",
  turn_left: "no_turning", turn_right: "no_turning", turn_far_left: "no_turning", turn_far_right: "no_turning",
};

/** Returns a new fieldset of all needs; `chosen`, a Set, follows what is ticked in it. */
export function needBoxes(legend, chosen) {
  const boxes = NEEDS.map((need) => {
    const box = make("input", { type: "checkbox", name: "need", value: need, checked: chosen.has(need) });
    return make("label", { className: "need" }, box, make("span", { textContent: t(`need.${need}`) }));
  });
  const fieldset = make("fieldset", {}, make("legend", { textContent: legend }), ...boxes);
  fieldset.addEventListener("change", ({ target }) => {
    if (target.checked) chosen.add(target.value);
    else chosen.delete(target.value);
  });
  return fieldset;
}

/** Returns what of the needs a Set has, in the order they are shown in. */
export function inOrder(chosen) {
  return NEEDS.filter((need) => chosen.has(need));
}

export class Needs {
  #form;
  #chosen = new Set();
  #asked = new Set();

  /** `chosen(needs)` is called with what was ticked, `back()` when the person goes on as before. */
  constructor(form, { chosen, back }, signal) {
    this.#form = form;
    onLanguage(() => form.hidden || this.#draw());
    form.addEventListener("change", () => this.#enable(), { signal });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (event.submitter?.value === "back") return back();
      this.#asked = new Set(this.#chosen);
      return chosen(this.asked());
    }, { signal });
  }

  /** Whether a need was named in this call. */
  has(need) {
    return this.#asked.has(need);
  }

  /** Returns what was asked for last. */
  asked() {
    return inOrder(this.#asked);
  }

  /** Takes what was named for the person when the check was started: the form begins with it. */
  named(needs) {
    for (const need of needs) {
      this.#chosen.add(need);
      this.#asked.add(need);
    }
  }

  /** Shows the form; what was chosen before in this call stays chosen. */
  open(gesture) {
    this.#draw();
    this.#form.querySelector(`[value="${LIKELY[gesture] ?? NEEDS[0]}"]`).focus();
  }

  #draw() {
    const send = make("button", { type: "submit", value: "send", className: "primary", textContent: t("check.needs_send") });
    const back = make("button", { type: "submit", value: "back", textContent: t("check.needs_back") });
    this.#form.replaceChildren(
      make("h2", { textContent: t("check.needs_title") }),
      make("p", { textContent: t("check.needs_what") }),
      needBoxes(t("check.needs_legend"), this.#chosen),
      make("p", { className: "row" }, send, back),
    );
    this.#enable();
  }

  #enable() {
    const send = this.#form.querySelector('[value="send"]');
    if (send) send.disabled = this.#chosen.size === 0;
  }
}
