// What agents and hosts see of checks: a menu on each tile, whether a check runs, and how every attempt ended.

import { callApi } from "./access.js";
import { make } from "./dom.js";
import { inOrder, needBoxes } from "./needs.js";
import { learnReasons, reason } from "./reasons.js";
import { language, onLanguage, t } from "./texts.js";

const KINDS = ["visual", "light", "occlusion", "words", "mutual"];
const LANGUAGES = { kk: "Қазақша", ru: "Русский", en: "English" };
const SIGNS = { pass: "✓", fail: "✕", inconclusive: "?" };
const RESULTS = new Set(Object.keys(SIGNS));

export class Checks {
  #access;
  #panels = new Map();
  #count = 0;

  constructor(access) {
    this.#access = access;
    onLanguage(() => this.render());
  }

  /** Returns the part of a participant's tile that checks have. */
  panel(participant) {
    if (!this.#panels.has(participant)) this.#panels.set(participant, this.#build(participant));
    return this.#panels.get(participant).element;
  }

  /** The page has joined (again): what began or ended meanwhile was not told, so nothing is said to run. */
  joined() {
    for (const panel of this.#panels.values()) {
      panel.running = false;
      this.#write(panel);
    }
  }

  /** Takes an event `check`: one has begun, or no further attempt follows. */
  running({ id, participant, kind, running }) {
    const panel = this.#panels.get(participant);
    if (!panel) return;
    if (running) Object.assign(panel, { id, kind, attempts: [], problem: null });
    else if (panel.id !== id) return;
    panel.running = running;
    this.#write(panel);
  }

  /** Takes an event `challenge`: how an attempt ended. */
  result({ id, participant, attempt, result, reason: code }) {
    const panel = this.#panels.get(participant);
    if (!panel || !RESULTS.has(result)) return;
    if (panel.id !== id) Object.assign(panel, { id, kind: null, attempts: [] });
    panel.attempts = [...panel.attempts.filter((one) => one.attempt !== attempt), { attempt, result, code }];
    this.#write(panel);
  }

  /** Writes everything again, in the language of the moment. */
  render() {
    for (const panel of this.#panels.values()) this.#write(panel);
    if (this.#panels.size === 0) return;
    learnReasons().then(() => {
      for (const panel of this.#panels.values()) this.#write(panel);
    }, (error) => {
      for (const panel of this.#panels.values()) {
        panel.problem = error.message;
        this.#write(panel);
      }
    });
  }

  #build(participant) {
    const number = (this.#count += 1);
    const open = make("button", { type: "button", "aria-expanded": "false", "aria-controls": `check-menu-${number}` });
    const menu = make("div", { id: `check-menu-${number}`, className: "check-menu", hidden: true });
    const status = make("p", { className: "check-status", role: "status" });
    const problem = make("p", { className: "problem", role: "status" });
    const results = make("ol", { className: "check-results" });
    const element = make("div", { className: "checks", "data-checks": participant }, open, menu, problem, status, results);
    const parts = { element, open, menu, status, problemLine: problem, results };
    const said = { id: null, kind: null, running: false, attempts: [], problem: null };
    const panel = { participant, needs: new Set(), ...said, filled: null, ...parts };
    open.addEventListener("click", () => this.#turn(panel, menu.hidden));
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || menu.hidden) return;
      this.#turn(panel, false);
      open.focus();
    });
    queueMicrotask(() => this.render());
    return panel;
  }

  #turn({ open, menu }, shown) {
    menu.hidden = !shown;
    open.setAttribute("aria-expanded", String(shown));
    if (shown) menu.querySelector("select").focus();
  }

  #write(panel) {
    const { open, menu, status, problemLine, results, running, kind, attempts, problem } = panel;
    open.textContent = t("checks.open");
    open.disabled = running;
    if (running) this.#turn(panel, false);
    if (panel.filled !== language) this.#fill(panel, menu.querySelector("select")?.value ?? language);
    status.hidden = !running;
    status.textContent = running ? t("checks.running", { kind: t(`checks.kind_${kind}`) }) : "";
    problemLine.textContent = problem ? t("problem.failed", { detail: problem }) : "";
    results.replaceChildren(...attempts.map(drawResult));
    panel.element.dataset.running = String(running);
  }

  #fill(panel, chosen) {
    const options = Object.entries(LANGUAGES).map(([value, name]) => make("option", { value, textContent: name, lang: value }));
    const select = make("select", {}, ...options);
    select.value = chosen;
    const buttons = KINDS.map((kind) => {
      const button = make("button", { type: "button", textContent: t(`checks.kind_${kind}`), "data-kind": kind });
      button.addEventListener("click", () => this.#start(panel, kind, select.value));
      return button;
    });
    const needs = drawNeeds(panel.needs, panel.menu.querySelector("details")?.open ?? false);
    panel.filled = language;
    panel.menu.replaceChildren(make("label", {}, t("checks.language"), select), needs, ...buttons);
  }

  async #start(panel, kind, spoken) {
    panel.problem = null;
    const { session } = this.#access;
    const body = { participant: panel.participant, kind, language: spoken, needs: inOrder(panel.needs) };
    this.#turn(panel, false);
    panel.open.focus();
    try {
      await callApi(this.#access, "POST", `/api/v1/sessions/${session}/challenges`, body);
    } catch (error) {
      panel.problem = error.message;
    }
    this.#write(panel);
  }
}

// Collapsed, as most people need nothing of it; how many are ticked is told all the same.
function drawNeeds(chosen, open) {
  const title = make("summary");
  const count = () => {
    title.textContent = t("checks.needs") + (chosen.size > 0 ? ` (${chosen.size})` : "");
  };
  const list = make("details", { className: "check-cannot", open }, title, needBoxes(t("checks.needs_legend"), chosen));
  list.addEventListener("change", count);
  count();
  return list;
}

function drawResult({ attempt, result, code }) {
  const sign = make("span", { className: "check-sign", "aria-hidden": "true", textContent: SIGNS[result] });
  const word = make("strong", { textContent: t(`checks.${result}`, { attempt }) });
  return make("li", { "data-result": result, "data-reason": code }, sign, make("span", {}, word, " ", reason(code)));
}
