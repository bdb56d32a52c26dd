// One tile per participant: picture, name, role, and what guard says of them, in words and a sign.

import { make } from "./dom.js";
import { decisionItem, reasonItems } from "./reasons.js";
import { Settle } from "./settle.js";
import { t } from "./texts.js";

// a tile is small: the strongest reasons, and never so many that they hide each other
const MOST_REASONS = 4;
const MOST_DECISIONS = 3;
const SIGNS = { undecided: "?", bona_fide: "✓", suspect: "!", spoof: "✕", detector_down: "–" };

export class Tiles {
  #container;
  #tiles = new Map();
  #people = new Map();
  #states = new Map();
  #decisions = new Map();
  #me;
  #watches = false;
  #muted = false;
  #panel;
  #onSettle;

  /**
   * `panel(id)` returns what is shown under the tile of somebody who is examined, to those who watch;
   * `onSettle(alert, reason)` closes a warning.
   */
  constructor(container, panel, onSettle) {
    this.#container = container;
    this.#panel = panel;
    this.#onSettle = onSettle;
  }

  /** Starts over for `me` ({id, role, watches}). */
  start(me, local) {
    this.#me = me.id;
    this.#watches = me.watches;
    this.#tile(me.id).video.srcObject = local;
  }

  /** Takes who is in the room now. */
  people(participants) {
    this.#people = new Map(participants.map((person) => [person.id, person]));
    for (const id of [...this.#tiles.keys()]) {
      if (!this.#people.has(id)) this.#remove(id);
    }
    for (const person of participants) this.#tile(person.id);
    this.render();
  }

  /** Takes a participant's `state`, why (`reasons`), and the `alert` that closes it where it waits for a person. */
  standing(participant, { state, reasons, alert }) {
    this.#states.set(participant, { state, reasons, alert });
    this.render();
  }

  /** Takes a warning: it is what closes the state from now on. */
  warned({ id, participant, state }) {
    const known = this.#states.get(participant);
    if (known && state !== "detector_down") this.standing(participant, { ...known, alert: id });
  }

  /** Takes what people wrote about what they did, oldest first; the latest are shown where it was about. */
  decided(events) {
    for (const event of events) {
      const before = this.#decisions.get(event.participant) ?? [];
      const others = before.filter(({ at, by }) => at !== event.at || by !== event.by);
      this.#decisions.set(event.participant, [...others, event].slice(-MOST_DECISIONS));
    }
    this.render();
  }

  stream(participant, stream) {
    this.#tile(participant).video.srcObject = stream;
  }

  /** Silences everybody (call on hold). */
  mute(muted) {
    this.#muted = muted;
    this.render();
  }

  #tile(id) {
    if (!this.#tiles.has(id)) this.#tiles.set(id, this.#build(id));
    return this.#tiles.get(id);
  }

  #build(id) {
    const own = id === this.#me;
    const video = make("video", { autoplay: true, playsInline: true, muted: own });
    const who = make("span", { className: "who" });
    const away = make("p", { className: "away" });
    const icon = make("span");
    const word = make("span", { className: "word" });
    const badge = make("span", { className: "badge" }, make("span", { className: "icon", "aria-hidden": "true" }, icon), word);
    const tile = make("figure", { className: own ? "tile own" : "tile", "data-participant": id });
    const why = make("ul", { className: "reasons", hidden: true });
    const done = make("ul", { className: "reasons decisions", hidden: true });
    const settle = new Settle(this.#onSettle);
    const panel = own || !this.#watches ? null : this.#panel(id);
    tile.append(video, away, make("figcaption", {}, who, badge), why, done, settle.element, ...(panel ? [panel] : []));
    if (own) this.#container.append(tile);
    else this.#container.prepend(tile);
    return { tile, video, who, away, icon, word, badge, why, done, settle, panel };
  }

  #remove(id) {
    this.#tiles.get(id).tile.remove();
    this.#tiles.delete(id);
    this.#states.delete(id);
  }

  /** Writes everything again, in the language of the moment. */
  render() {
    for (const [id, parts] of this.#tiles) this.#renderOne(id, parts);
  }

  #renderOne(id, { tile, video, who, away, icon, word, badge, why, done, settle, panel }) {
    const own = id === this.#me;
    const person = this.#people.get(id);
    const name = own ? `${t("call.you")} (${id})` : id;
    who.textContent = person ? `${name}, ${t(`role.${person.role}`)}` : name;
    const here = own || person?.publishing;
    away.hidden = Boolean(here);
    away.textContent = person?.connected ? t("call.no_media") : t("call.waiting");
    video.hidden = !here;
    video.muted = own || this.#muted;
    const standing = (this.#watches && !own && this.#states.get(id)) || {};
    const { state, reasons } = standing;
    settle.take(standing);
    badge.hidden = !state;
    why.hidden = !reasons?.length;
    why.replaceChildren(...reasonItems(reasons ?? [], MOST_REASONS));
    const decisions = (this.#watches && !own && this.#decisions.get(id)) || [];
    done.hidden = !decisions.length;
    done.replaceChildren(...decisions.map(decisionItem));
    if (panel) panel.hidden = !state;
    if (!state) return delete tile.dataset.state;
    tile.dataset.state = badge.dataset.state = state;
    icon.textContent = SIGNS[state] ?? "?";
    word.textContent = t(`state.${state}`);
    badge.setAttribute("title", t("state.label", { state: t(`state.${state}`) }));
  }
}
