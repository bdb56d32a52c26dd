// The call screen: joins the room and media with what is on the page.

import { callApi } from "./access.js";
import { Alerts } from "./alerts.js";
import { CheckScreen } from "./check.js";
import { Checks } from "./checks.js";
import { describeClient } from "./client.js";
import { byId } from "./dom.js";
import { Media } from "./media.js";
import { Mutual } from "./mutual.js";
import { learnReasons, onReasons } from "./reasons.js";
import { Room } from "./room.js";
import { Steps } from "./steps.js";
import { language, onLanguage, t } from "./texts.js";
import { Tiles } from "./tiles.js";

const RETRY_MS = 2000;
// what guard says over the channel concerns this person at once; the socket says it as well
const CHANNEL = new Set(["alert", "cleared", "check_begins", "command", "check_over", "mutual"]);

export class Call {
  #access;
  #local;
  #camera;
  #room;
  #media = null;
  #checks;
  #tiles;
  #mutual;
  #alerts;
  #steps;
  #check;
  #me = null;
  #others = [];
  #iceServers = [];
  #held = false;
  #onOver;
  #stopped = new AbortController();
  #described = false;

  /** `camera` watches the camera of `local` and may be null; `onOver(why)` is called once when the call is over for this page. */
  constructor(access, local, camera, onOver) {
    this.#access = access;
    this.#local = local;
    this.#camera = camera;
    this.#onOver = onOver;
    this.#alerts = new Alerts(byId("alerts"), (alert, reason) => this.#acknowledge(alert, reason));
    this.#steps = new Steps(byId("steps"), (body) => this.#act(body));
    this.#room = new Room(access, language);
    this.#checks = new Checks(access);
    this.#tiles = new Tiles(byId("tiles"), (id) => this.#checks.panel(id), (alert, reason) => this.#acknowledge(alert, reason));
    this.#mutual = new Mutual(byId("mutual"), () => this.#me?.id, (message) => this.#room.send(message));
    const leave = () => this.#room.leave();
    this.#check = new CheckScreen((message) => this.#room.send(message), local, leave, this.#stopped.signal);
    this.#room.addEventListener("welcome", (event) => this.#welcome(event.detail));
    this.#room.addEventListener("message", (event) => this.#message(event.detail));
    this.#room.addEventListener("lost", () => this.#lost("call.reconnecting"));
    this.#room.addEventListener("over", (event) => this.#over(event.detail));
    onLanguage(() => this.#render());
    onLanguage(() => this.#room.reads(language));
    onLanguage(() => this.#learn());
    onReasons(() => this.#render());
    this.#learn();
    this.#controls();
    this.#room.connect();
  }

  /** What the browser says of the streams; used by tests and for support. */
  stats() {
    return this.#media?.stats() ?? null;
  }

  #welcome(message) {
    this.#me = message.you;
    this.#iceServers = message.ice_servers;
    this.#alerts.decides = message.you.watches;
    this.#tiles.start(message.you, this.#local);
    this.#checks.joined();
    for (const [participant, standing] of Object.entries(message.states)) {
      this.#tiles.standing(participant, standing);
    }
    this.#tiles.decided(message.decisions);
    for (const alert of message.alerts) this.#alerts.take(alert);
    this.#steps.start(message.you.role, message.steps);
    byId("drill").hidden = !message.drill;
    this.#session(message.state);
    byId("hold").hidden = byId("end").hidden = !message.you.watches;
    byId("link-state").hidden = true;
    this.#people(message.participants, false);
    this.#connect(this.#media !== null);
    this.#camera?.start((report) => this.#room.send({ type: "device", ...report }));
    if (!this.#described) this.#describe();
  }

  async #learn() {
    try {
      await learnReasons();
    } catch (error) {
      this.#problem(t("problem.failed", { detail: error.message }));
    }
  }

  async #describe() {
    this.#described = true;
    try {
      this.#room.send(await describeClient());
    } catch (error) {
      this.#described = false; // said again after the next joining
      this.#problem(t("problem.failed", { detail: error.message }));
    }
  }

  #message(message) {
    switch (message.type) {
      case "participants": return this.#people(message.participants, true);
      case "state": return this.#tiles.standing(message.participant, message);
      case "alert": return this.#warned(message);
      case "cleared": return this.#alerts.remove(message.id);
      case "acknowledged": return this.#acknowledged(message);
      case "check_begins":
      case "command": return this.#check.take(message);
      case "check_over": return this.#mutual.over(message.id, message.result) || this.#check.take(message);
      case "mutual": return this.#mutual.take(message);
      case "playbook":
      case "delivery_failed":
      case "alarm": return this.#steps.take(message);
      case "check": return this.#checks.running(message);
      case "challenge": return this.#result(message);
      case "session": return this.#session(message.state);
      case "media": return this.#mediaFailed();
      case "error": return this.#problem(message.message);
      default: return undefined; // events for consoles
    }
  }

  #warned(alert) {
    this.#alerts.take(alert);
    this.#tiles.warned(alert);
  }

  #acknowledged(message) {
    if (message.by === this.#me.id) this.#alerts.remove(message.id);
    if (message.reason) this.#tiles.decided([message]);
  }

  #result(message) {
    this.#mutual.over(message.id, message.result);
    this.#checks.result(message);
  }

  #people(participants, negotiate) {
    this.#tiles.people(participants);
    const before = this.#others.join();
    this.#others = participants.filter((p) => p.id !== this.#me.id && p.publishing).map((p) => p.id);
    if (negotiate && this.#others.join() !== before) this.#media?.receive(this.#others);
  }

  #connect(fresh) {
    this.#media?.close();
    const media = new Media(this.#room, this.#iceServers, this.#local, fresh);
    this.#media = media;
    media.addEventListener("stream", ({ detail }) => this.#tiles.stream(detail.participant, detail.stream));
    media.addEventListener("channel", ({ detail }) => this.#channel(detail));
    media.addEventListener("failed", () => this.#mediaFailed());
    media.addEventListener("refused", ({ detail }) => this.#refused(media, detail));
    media.receive(this.#others);
  }

  #channel(message) {
    if (CHANNEL.has(message?.type)) this.#message(message);
  }

  #refused(media, error) {
    if (error.message === "closed" || media !== this.#media) return;
    this.#problem(t("problem.failed", { detail: error.message }));
    setTimeout(() => media === this.#media && media.negotiate(), RETRY_MS);
  }

  #mediaFailed() {
    this.#lost("call.media_lost");
    this.#connect(true);
    byId("link-state").hidden = true;
  }

  #lost(key) {
    const band = byId("link-state");
    band.textContent = t(key);
    band.dataset.t = key;
    band.hidden = false;
  }

  async #acknowledge({ id, state }, reason) {
    if (reason) {
      // with what it said here: a reason that was written about amber is no answer to a red that came meanwhile
      await this.#act({ action: "acknowledge", alert: id, reason, state });
    } else if (!this.#media?.acknowledge(id)) {
      this.#room.send({ type: "ack", id });
    }
  }

  #act(body) {
    return callApi(this.#access, "POST", `/api/v1/sessions/${this.#access.session}/actions`, body);
  }

  #session(state) {
    if (state === "ended") return;
    this.#held = state === "held";
    byId("held").hidden = !this.#held;
    this.#tiles.mute(this.#held);
    this.#render();
    this.#applyTracks();
  }

  // On hold the people who decide send nothing; the others go on being examined.
  #applyTracks() {
    const silent = this.#held && this.#me?.watches;
    for (const [id, kind] of [["microphone", "audio"], ["camera", "video"]]) {
      const wanted = byId(id).getAttribute("aria-pressed") === "true";
      for (const track of this.#local?.getTracks() ?? []) {
        if (track.kind === kind) track.enabled = wanted && !silent;
      }
    }
  }

  #controls() {
    const { signal } = this.#stopped;
    for (const [id, kind] of [["microphone", "audio"], ["camera", "video"]]) {
      const button = byId(id);
      button.disabled = !this.#local?.getTracks().some((track) => track.kind === kind);
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
        this.#applyTracks();
      }, { signal });
    }
    byId("leave").addEventListener("click", () => this.#room.leave(), { signal });
    byId("hold").addEventListener("click", () => this.#try({ action: this.#held ? "release" : "hold" }), { signal });
    const confirm = byId("confirm");
    byId("end").addEventListener("click", () => confirm.showModal(), { signal });
    confirm.addEventListener("close", () => {
      if (confirm.returnValue === "yes") this.#try({ action: "end" });
      confirm.returnValue = "";
    }, { signal });
  }

  async #try(body) {
    try {
      await this.#act(body);
      this.#problem("");
    } catch (error) {
      this.#problem(t("problem.failed", { detail: error.message }));
    }
  }

  #problem(text) {
    byId("call-problem").textContent = text;
  }

  #render() {
    byId("hold").textContent = t(this.#held ? "call.release" : "call.hold");
    this.#tiles.render();
  }

  #over(why) {
    this.#stopped.abort();
    this.#camera?.stop();
    this.#media?.close();
    this.#alerts.clear();
    this.#steps.clear();
    this.#check.close();
    this.#mutual.clear();
    for (const track of this.#local?.getTracks() ?? []) track.stop();
    this.#onOver(why);
  }
}
