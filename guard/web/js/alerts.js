// Warnings: what was seen, what to do next, and the button that says a person has taken note.

import { make } from "./dom.js";
import { onReasons, reasonItems } from "./reasons.js";
import { language, onLanguage, t } from "./texts.js";

// guard stops repeating once it has the answer; the same alert after this is a new occasion
const ECHO_MS = 2500;
const MOST_REASONS = 4;
const KNOWN = ["suspect", "spoof", "detector_down"];

export class Alerts {
  #container;
  #onAcknowledge;
  #shown = new Map();
  #answered = new Map();

  /** Whether this person may close a warning with a reason; the others only say that they have seen it. */
  decides = false;

  /** `onAcknowledge(alert, reason)` sends the answer; it may reject. */
  constructor(container, onAcknowledge) {
    this.#container = container;
    this.#onAcknowledge = onAcknowledge;
    onLanguage(() => this.#again());
    onReasons(() => this.#again());
  }

  /** Shows an alert once; guard repeats it until it is acknowledged. */
  take(alert) {
    const answer = this.#answered.get(alert.id);
    if (answer && same(answer.alert, alert) && Date.now() - answer.at < ECHO_MS) return;
    const before = this.#shown.get(alert.id);
    if (before && same(before.alert, alert)) return;
    const left = Date.parse(alert.expires_at) - Date.parse(alert.at);
    before?.element.remove();
    clearTimeout(before?.timer);
    const timer = setTimeout(() => this.remove(alert.id), Math.max(0, left));
    this.#shown.set(alert.id, { alert, element: this.#draw(alert), timer });
  }

  /** Takes an alert off the screen. */
  remove(id) {
    const entry = this.#shown.get(id);
    if (!entry) return;
    clearTimeout(entry.timer);
    entry.element.remove();
    this.#shown.delete(id);
  }

  clear() {
    for (const id of [...this.#shown.keys()]) this.remove(id);
  }

  /** Writes everything again, in the language of the moment; what was typed stays. */
  #again() {
    for (const entry of this.#shown.values()) {
      const typed = entry.element.elements.reason?.value ?? "";
      entry.element.remove();
      entry.element = this.#draw(entry.alert, typed);
    }
  }

  #draw(alert, typed = "") {
    const state = KNOWN.includes(alert.state) ? alert.state : "suspect";
    const signals = alert.signals.map((name) => t(`signal.${name}`)).join(", ");
    const reason = make("input", { type: "text", maxLength: 500, autocomplete: "off", name: "reason", value: typed });
    const button = make("button", { type: "submit", className: "primary", textContent: t("alert.acknowledge") });
    const problem = make("p", { className: "problem" });
    const form = make(
      "form",
      { className: "alert", "data-state": state, "data-alert": alert.id, "data-about": alert.participant },
      make("h2", {}, make("span", { "aria-hidden": "true", textContent: "⚠ " }), t(`alert.${state}`, { name: alert.participant })),
      make("p", { className: "advice", lang: language, textContent: alert.advice[language] ?? alert.advice.en }),
    );
    if (alert.reasons.length) form.append(make("ul", { className: "reasons" }, ...reasonItems(alert.reasons, MOST_REASONS)));
    if (signals) form.append(make("p", { className: "note", textContent: t("alert.signals", { signals }) }));
    if (this.decides && state !== "detector_down") form.append(make("label", {}, t("alert.reason"), reason));
    form.append(problem, make("p", { className: "row" }, button));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      button.disabled = true;
      this.#acknowledge(alert, reason.value.trim()).catch((error) => {
        problem.textContent = t("problem.failed", { detail: error.message });
        button.disabled = false;
      });
    });
    this.#container.prepend(form);
    return form;
  }

  async #acknowledge(alert, reason) {
    await this.#onAcknowledge(alert, reason);
    this.#answered.set(alert.id, { alert, at: Date.now() });
    // told anew meanwhile, it is another warning, and nobody has answered that
    if (same(this.#shown.get(alert.id)?.alert, alert)) this.remove(alert.id);
  }
}

/** Whether two messages tell of the same occasion: within a minute guard tells something new under the same id. */
const same = (one, other) => one?.state === other.state && one.at === other.at;
