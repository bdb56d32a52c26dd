// What the person who is being checked sees: one command after the other over the whole screen, then how it ended.
// guard judges pictures and sound; what this page says of itself (`shown`) is only written down.

import { Countdown } from "./countdown.js";
import { byId, make } from "./dom.js";
import { inkOn } from "./ink.js";
import { Needs } from "./needs.js";
import { Order } from "./order.js";
import { pictogram } from "./pictograms.js";
import { Prompt, soundsOf } from "./prompt.js";
import { language, onLanguage, t } from "./texts.js";

// after the time of a command the next one is due; where nothing comes, the person is let out
const SILENCE_MS = 20_000;
// how long guard waits for somebody who chooses
const FORM_MS = 45_000;
const COLOUR = /^#[0-9a-f]{6}$/i;
// kinds of check in which the screen may change its colour: the person is told before it does
const LIT = new Set(["visual", "light"]);
const VIEWS = ["check-task", "check-needs", "check-end"];

/** Resolves after the browser has painted what was changed before the call. */
const painted = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));

export class CheckScreen {
  #send;
  #local;
  #dialog = byId("check");
  #order = new Order();
  #prompt = new Prompt(byId("check-sound"));
  #countdown = new Countdown(byId("check-bar"), byId("check-seconds"));
  #needs;
  #command = null; // what is asked, or was asked last
  #told = null; // the latest command whose painting is waited for
  #end = null; // how the attempt ended
  #notice = null; // key of a text in place of either
  #view = "check-task";
  #before = null;
  #silence = null;

  /** `send(message)` answers guard; `leave()` hangs up; `local` is the person's own stream or null. */
  constructor(send, local, leave, signal) {
    this.#send = send;
    this.#local = local;
    const chosen = (needs) => this.#ask(needs);
    this.#needs = new Needs(byId("check-needs"), { chosen, back: () => this.#ask(this.#needs.asked()) }, signal);
    onLanguage(() => this.#dialog.open && this.#write());
    byId("check-cannot").addEventListener("click", () => this.#choose(), { signal });
    byId("check-again").addEventListener("click", () => this.#speak(true), { signal });
    byId("check-leave").addEventListener("click", leave, { signal });
    byId("check-close").addEventListener("click", () => this.close(), { signal });
    // Escape does not end a check: it leads to the other commands, which is the way out
    this.#dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      if (this.#view === "check-task") this.#choose();
    }, { signal });
    this.#dialog.addEventListener("close", () => {
      if (this.#command) this.#dialog.showModal(); // closed by the browser, not by the page
    }, { signal });
  }

  /** Takes `check_begins`, `command` and `check_over`, from the socket or the channel, in any order and twice. */
  take(message) {
    if (!this.#order.newer(message)) return;
    if (message.type === "command") this.#show(message);
    else if (message.type === "check_over") this.#over(message);
    else this.#introduce(message);
  }

  #introduce(message) {
    this.#command = message;
    this.#end = this.#notice = null;
    this.#needs.named(message.needs ?? []);
    this.#open();
    this.#wait(0);
    this.#turn("check-task");
    this.#write();
    this.#prompt.say([`${language}/check.intro`]);
    this.#say([this.#text(message), LIT.has(message.kind) ? t("check.light_warning") : ""].join(" ").trim());
  }

  #show(message) {
    const before = this.#command;
    const same = before?.id === message.id && before.attempt === message.attempt && before.number === message.number;
    this.#command = message;
    this.#end = this.#notice = null;
    this.#open();
    this.#wait(1000 * message.limit_s);
    if (!same) this.#begin();
    this.#put();
    this.#shown(message);
  }

  #begin() {
    this.#countdown.start(this.#command.limit_s);
    if (this.#view !== "check-needs") this.#turn("check-task"); // somebody who reads the form goes on reading
    this.#write();
    this.#say(`${this.#progress()} ${[this.#text(this.#command), ...this.#command.words].join(" ")}`);
    this.#speak();
  }

  // Colour and dot of the step; nobody is lit who has turned to the form.
  #put() {
    const { gesture, colour, dot } = this.#command;
    const lit = this.#view === "check-task" && gesture === "screen_light" && COLOUR.test(colour ?? "");
    this.#paint(lit ? colour : null, this.#view === "check-task" ? dot : null);
  }

  async #shown(message) {
    const own = (this.#told = {});
    await painted();
    if (this.#told !== own) return; // asked again while it was being painted: told once
    if (this.#command !== message || this.#view !== "check-task") return; // something else was painted in its place
    this.#send({ type: "shown", id: message.id, number: message.number, step: message.step });
  }

  #over(message) {
    if (!message.again && !this.#dialog.open) return; // nothing was shown, or the person has closed it
    this.#command ??= message;
    this.#end = message;
    this.#notice = null;
    this.#open();
    this.#stop();
    const choosing = message.again && this.#view === "check-needs";
    if (message.again) this.#wait(choosing ? FORM_MS : 0);
    if (choosing) return;
    this.#finish();
    this.#prompt.say([`${language}/check.${message.again ? "again" : message.result}`]);
  }

  #finish() {
    this.#turn("check-end");
    this.#write();
    this.#say(byId("check-result").textContent);
  }

  /** Takes the check off the screen. */
  close() {
    this.#stop();
    this.#command = this.#end = this.#notice = null;
    if (this.#dialog.open) this.#dialog.close();
    byId("check-mirror").srcObject = null;
    this.#before?.focus();
    this.#before = null;
  }

  #stop() {
    clearTimeout(this.#silence);
    this.#countdown.stop();
    this.#prompt.stop();
    this.#paint(null, null);
  }

  #open() {
    if (this.#dialog.open) return;
    this.#before = document.activeElement;
    byId("check-mirror").srcObject = this.#local;
    this.#dialog.showModal();
  }

  #wait(taken_ms) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#stop();
      this.#notice = "check.cut";
      this.#finish();
    }, taken_ms + SILENCE_MS);
  }

  // guard asks nothing while the person chooses, so that reading the form costs them no attempt
  #choose() {
    this.#send({ type: "needs", id: this.#command.id, needs: null });
    this.#wait(FORM_MS);
    this.#turn("check-needs");
  }

  #ask(needs) {
    this.#send({ type: "needs", id: this.#command.id, needs });
    const goesOn = this.#command.type === "command" && !this.#end; // guard has changed nothing: asked too often
    if (!goesOn) {
      this.#stop();
      this.#wait(0);
      this.#notice = "check.changing";
      return this.#finish();
    }
    this.#turn("check-task");
    this.#write();
    return this.#shown(this.#command);
  }

  #turn(view) {
    this.#view = this.#dialog.dataset.view = view;
    for (const id of VIEWS) byId(id).hidden = id !== view;
    const waiting = this.#notice === "check.changing" || (this.#end?.again && !this.#notice);
    const asked = view === "check-task" && this.#command.type === "command";
    byId("check-cannot").hidden = view !== "check-task";
    byId("check-again").hidden = byId("check-left").hidden = !asked;
    byId("check-close").hidden = view !== "check-end" || waiting;
    if (this.#command.type === "command" && !this.#end && !this.#notice) this.#put();
    if (view === "check-needs") this.#needs.open(this.#command.gesture);
    else if (byId("check-close").hidden) this.#dialog.focus();
    else byId("check-close").focus();
  }

  // Everything that depends on the language.
  #write() {
    const { type, gesture, kind, words = [] } = this.#command;
    const asked = type === "command";
    byId("check-progress").textContent = !asked || this.#end || this.#notice ? "" : this.#progress();
    byId("check-result").textContent = this.#notice ? t(this.#notice) : this.#end ? this.#text(this.#end) : "";
    byId("check-command").textContent = this.#text(this.#command);
    byId("check-words").replaceChildren(...words.map((word) => make("span", { textContent: word })));
    byId("check-picture").replaceChildren(...[pictogram(gesture)].filter(Boolean));
    byId("check-warning").hidden = asked ? gesture !== "screen_light" : !LIT.has(kind);
  }

  #paint(colour, dot) {
    this.#dialog.classList.toggle("lit", colour !== null);
    this.#dialog.style.backgroundColor = colour ?? "";
    this.#dialog.style.color = colour ? inkOn(colour) : "";
    const mark = byId("check-dot");
    mark.hidden = !dot;
    if (dot) [mark.style.left, mark.style.top] = dot.map((part) => `${100 * Math.min(1, Math.max(0, part))}%`);
  }

  #text(message) {
    return message.text[language] ?? message.text.en;
  }

  #progress() {
    const { number, of, attempt } = this.#command;
    const where = t("check.progress", { number, of: Math.max(number, of) });
    return attempt > 1 ? `${where} ${t("check.attempt", { attempt })}` : where;
  }

  #say(text) {
    byId("check-live").textContent = text;
  }

  // The words to be read are said only to somebody who asks, or who cannot see them: the microphone hears them too.
  #speak(asked = false) {
    const { gesture, words } = this.#command;
    const aloud = words.length > 0 && (asked || this.#needs.has("no_sight"));
    this.#prompt.say([`${language}/command.${gesture}`], aloud ? () => soundsOf(words) : undefined);
  }
}
