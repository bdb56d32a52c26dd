// The operator's page: start calls, hand out links, see what runs.

import { callApi } from "./access.js";
import { byId, make } from "./dom.js";
import { decisionItem, learnReasons, reason } from "./reasons.js";
import { onLanguage, t } from "./texts.js";

const PRESETS = {
  bank: [{ id: "customer", role: "customer" }, { id: "agent", role: "agent" }],
  meeting: [
    { id: "host", role: "host" },
    { id: "guest-1", role: "guest" },
    { id: "guest-2", role: "guest" },
    { id: "guest-3", role: "guest" },
  ],
};

/** Runs the operator's page. */
export function operate(access) {
  const made = [];
  const redraw = () => drawLinks(made);
  byId("presets").addEventListener("click", (event) => {
    const preset = PRESETS[event.target.dataset?.preset];
    if (preset) attempt(async () => {
      made.unshift(await callApi(access, "POST", "/api/v1/sessions", { participants: preset }));
      redraw();
      await refresh(access);
    });
  });
  byId("refresh").addEventListener("click", () => attempt(() => refresh(access)));
  onLanguage(() => { redraw(); attempt(() => refresh(access)); });
  attempt(() => refresh(access));
}

async function attempt(work) {
  const problem = byId("operator-problem");
  try {
    await work();
    problem.textContent = "";
  } catch (error) {
    problem.textContent = t("problem.failed", { detail: error.message });
  }
}

function drawLinks(made) {
  byId("links").replaceChildren(...made.flatMap(({ id, participants }) => [
    make("h2", { textContent: t("operator.links", { session: id }) }),
    make("ul", { className: "links" }, ...participants.map(drawLink)),
  ]));
}

function drawLink({ id, role, url }) {
  const label = t("operator.link_for", { name: id, role: t(`role.${role}`) });
  const field = make("input", { type: "text", readOnly: true, value: url, "aria-label": label });
  const copy = make("button", { type: "button", textContent: t("operator.copy") });
  copy.addEventListener("click", async () => {
    field.select();
    await navigator.clipboard.writeText(url);
    copy.textContent = t("operator.copied");
  });
  const open = make("a", { href: url, target: "_blank", rel: "noopener", textContent: t("operator.open") });
  return make("li", {}, make("span", { textContent: label }), make("div", { className: "row" }, field, copy, open));
}

function describe({ id, state, reasons }) {
  const why = reasons.length ? ` (${reasons.map(reason).join("; ")})` : "";
  return `${id}: ${state ? t(`state.${state}`) : "–"}${why}`;
}

async function refresh(access) {
  await learnReasons();
  const running = await callApi(access, "GET", "/api/v1/sessions");
  const items = running.map((session) => {
    const people = session.participants.map(describe).join("; ");
    const end = make("button", { type: "button", textContent: t("operator.end") });
    end.addEventListener("click", () => attempt(async () => {
      await callApi(access, "POST", `/api/v1/sessions/${session.id}/actions`, { action: "end" });
      await refresh(access);
    }));
    const done = make("ul", { className: "reasons" }, ...session.decisions.map(decisionItem));
    return make("li", {}, `${session.id} (${session.profile}) — ${people} `, end, ...(session.decisions.length ? [done] : []));
  });
  byId("sessions").replaceChildren(...(items.length ? items : [make("li", { textContent: t("operator.none") })]));
}
