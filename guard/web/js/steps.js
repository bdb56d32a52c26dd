// What is to be done about a warning: the steps of the playbook, what could not be delivered, and the alarm.

import { make } from "./dom.js";
import { language, onLanguage, t } from "./texts.js";

const HELD = ["requested", "confirmed", "failed"];
const STEPS = ["hold", "challenge", "call_back", "second_person"];

export class Steps {
  #container;
  #act;
  #role = null;
  #shown = new Map(); // whom it is about -> {alert, steps, text, alarms, failures, reason, element}

  /** `act(body)` sends a person's decision; it may reject. */
  constructor(container, act) {
    this.#container = container;
    this.#act = act;
    onLanguage(() => this.#shown.forEach((_, about) => this.#draw(about)));
  }

  /** Begins anew, with what stands open. */
  start(role, events) {
    this.clear();
    this.#role = role;
    for (const event of events) this.take(event);
  }

  /** Shows one event: `playbook`, `delivery_failed` or `alarm`. */
  take(event) {
    const about = event.participant;
    if (event.type === "playbook" && event.state === "closed") return this.#remove(about);
    const entry = this.#shown.get(about)
      ?? { alert: null, steps: {}, text: null, alarms: new Set(), failures: new Set(), reason: "" };
    this.#shown.set(about, entry);
    entry.alert = event.id ?? event.alert;
    if (event.type === "playbook") {
      entry.steps[event.step] = event.state;
      if (event.text && event.to.includes(this.#role)) entry.text = event.text;
    } else if (event.type === "delivery_failed") {
      entry.failures.add(event.channel);
    } else if (event.ringing) {
      entry.alarms.add(event.reason);
    } else {
      entry.alarms.delete(event.reason);
    }
    const empty = !Object.keys(entry.steps).length && !entry.alarms.size && !entry.failures.size;
    if (empty) return this.#remove(about);
    return this.#draw(about);
  }

  clear() {
    for (const about of [...this.#shown.keys()]) this.#remove(about);
  }

  #remove(about) {
    this.#shown.get(about)?.element?.remove();
    this.#shown.delete(about);
  }

  #draw(about) {
    const entry = this.#shown.get(about);
    const problem = make("p", { className: "problem" });
    const panel = make("section", { className: "alert steps", "data-steps": about, "data-state": entry.alarms.size ? "spoof" : "" });
    panel.append(make("h2", { textContent: t("steps.title", { name: about }) }));
    for (const reason of entry.alarms) {
      panel.append(make("p", { className: "advice", "data-alarm": reason, textContent: `⚠ ${t(`alarm.${reason}`)}` }));
    }
    if (entry.text) panel.append(make("p", { className: "advice", lang: language, textContent: entry.text[language] ?? entry.text.en }));
    for (const channel of entry.failures) {
      panel.append(make("p", { className: "note", "data-failed": channel, textContent: t("steps.not_delivered", { channel: t(`channel.${channel}`) }) }));
    }
    const done = STEPS.filter((step) => entry.steps[step]);
    panel.append(make("ol", { className: "note" }, ...done.map((step) => make("li", {
      "data-step": step,
      "data-standing": entry.steps[step],
      textContent: `${t(`step.${step}`)}: ${t(`standing.${entry.steps[step]}`)}`,
    }))));
    const actions = this.#actions(entry);
    if (actions.length) panel.append(this.#reason(entry), problem, make("p", { className: "row" }, ...actions.map((action) => this.#button(action, entry, problem))));
    if (entry.element) entry.element.replaceWith(panel);
    else this.#container.append(panel);
    entry.element = panel;
  }

  #actions(entry) {
    const hold = entry.steps.hold;
    const actions = [];
    if (hold && hold !== "confirmed" && hold !== "requested") actions.push("hold");
    if (HELD.includes(hold)) actions.push("release");
    if (entry.steps.call_back && entry.steps.call_back !== "done") actions.push("call_back");
    return actions;
  }

  #reason(entry) {
    const field = make("input", { type: "text", maxLength: 500, autocomplete: "off", name: "step-reason", value: entry.reason });
    field.addEventListener("input", () => { entry.reason = field.value; });
    return make("label", {}, t("steps.reason"), field);
  }

  #button(action, entry, problem) {
    const button = make("button", { type: "button", "data-action": action, textContent: t(`steps.${action}`) });
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await this.#act({ action, alert: entry.alert, reason: entry.reason.trim() || null });
        entry.reason = "";
      } catch (error) {
        problem.textContent = t("problem.failed", { detail: error.message });
      }
      button.disabled = false;
    });
    return button;
  }
}
