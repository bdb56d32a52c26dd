// The way to close what waits for a person, also where its warning has long left the screen.

import { make } from "./dom.js";
import { onLanguage, t } from "./texts.js";

/** What a participant's state is, where that of its examination lies over it. */
function graver({ state, reasons }) {
  if (state !== "detector_down") return state;
  return reasons.includes("waiting_for_person") ? "spoof" : "suspect";
}

export class Settle {
  #onSettle;
  #standing = null;

  /** `onSettle({id, state}, reason)` sends the answer; it may reject. */
  constructor(onSettle) {
    this.#onSettle = onSettle;
    this.field = make("input", { type: "text", maxLength: 500, autocomplete: "off", name: "settle-reason", required: true });
    this.title = make("summary");
    this.label = make("span");
    this.button = make("button", { type: "submit" });
    this.problem = make("p", { className: "problem", role: "status" });
    this.form = make("form", {}, make("label", {}, this.label, this.field), this.problem, this.button);
    this.element = make("details", { className: "settle", hidden: true }, this.title, this.form);
    this.form.addEventListener("submit", (event) => this.#submit(event));
    onLanguage(() => this.#write());
    this.#write();
  }

  /** Takes a participant's standing: `state`, `reasons` and `alert`, the warning that closes it or null. */
  take(standing) {
    this.#standing = standing;
    this.element.hidden = !standing?.alert;
    if (!this.element.hidden) return;
    this.element.open = false;
    this.field.value = this.problem.textContent = "";
  }

  #write() {
    this.title.textContent = this.button.textContent = t("alert.close");
    this.label.textContent = t("alert.reason");
  }

  async #submit(event) {
    event.preventDefault();
    const reason = this.field.value.trim();
    if (!reason) return;
    this.button.disabled = true;
    this.problem.textContent = "";
    try {
      await this.#onSettle({ id: this.#standing.alert, state: graver(this.#standing) }, reason);
    } catch (error) {
      this.problem.textContent = t("problem.failed", { detail: error.message });
    }
    this.button.disabled = false;
  }
}
