// The mutual check: both sides see the same code, and who vouches for it. The call goes on beside it,
// since the two people have to talk while they compare.

import { make } from "./dom.js";
import { language, onLanguage, t } from "./texts.js";

/** Reads a badge (JWS, RFC 7515) without checking its signature: the page came from the same server. */
export function readBadge(text) {
  try {
    const [head, body] = text.split(".").slice(0, 2).map((part) => {
      const bytes = atob(part.replace(/-/g, "+").replace(/_/g, "/"));
      return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (letter) => letter.charCodeAt(0))));
    });
    return { key: String(head.kid), ...body };
  } catch {
    return null;
  }
}

const digits = (code) => String(code).replace(/\D/g, "");

export class Mutual {
  #container;
  #send;
  #me;
  #message = null;
  #answer = null; // "same", "different" or "late"

  /** `me()` returns this person's id; `send(message)` answers guard. */
  constructor(container, me, send) {
    this.#container = container;
    this.#me = me;
    this.#send = send;
    onLanguage(() => this.#draw());
  }

  /** Shows the code of a `mutual` message; a second one with the same id changes nothing. */
  take(message) {
    if (message.id === this.#message?.id) return;
    this.#message = message;
    this.#answer = null;
    this.#draw();
    this.#container.scrollIntoView({ block: "nearest" });
  }

  /** Takes the news that a check has ended; true where it was the one shown here. */
  over(id, result) {
    if (id !== this.#message?.id) return false;
    this.#answer ??= { pass: "same", fail: "different" }[result] ?? "late";
    this.#draw();
    return true;
  }

  clear() {
    this.#message = null;
    this.#draw();
  }

  #draw() {
    this.#container.replaceChildren(...(this.#message ? [this.#card()] : []));
  }

  #card() {
    const { code, text } = this.#message;
    const card = make("section", { className: "mutual", "data-answer": this.#answer ?? "open" });
    card.append(
      make("h2", { textContent: t("mutual.title") }),
      make("p", { lang: language, textContent: text[language] ?? text.en }),
      make("p", { className: "mutual-code", textContent: code }),
      this.#vouches(),
    );
    const own = this.#message.participant === this.#me();
    if (this.#answer) card.append(...this.#end(own));
    else if (own) card.append(...this.#question());
    else card.append(make("p", { className: "advice", textContent: t("mutual.read_aloud") }));
    return card;
  }

  #vouches() {
    const badge = readBadge(this.#message.badge);
    if (!badge || digits(badge.code) !== digits(this.#message.code)) {
      return make("p", { className: "problem", textContent: t("mutual.badge_bad") });
    }
    const values = { server: location.hostname, key: badge.key, name: badge.agent };
    return make("p", { className: "note", textContent: t("mutual.badge", values) });
  }

  #question() {
    const choices = [["same", true, "primary"], ["different", false, "danger"]].map(([answer, same, className]) => {
      const button = make("button", { type: "button", className, textContent: t(`mutual.${answer}`) });
      button.addEventListener("click", () => {
        this.#answer = answer;
        this.#send({ type: "compared", id: this.#message.id, same });
        this.#draw();
        this.#container.querySelector("[data-close]").focus();
      });
      return button;
    });
    return [make("p", { className: "advice", textContent: t("mutual.compare") }), make("p", { className: "row" }, ...choices)];
  }

  #end(own) {
    const close = make("button", { type: "button", textContent: t("mutual.close"), "data-close": "" });
    close.addEventListener("click", () => this.clear());
    const said = t(`mutual.after_${this.#answer}${own ? "" : "_watch"}`);
    return [make("p", { className: "advice", textContent: said }), make("p", { className: "row" }, close)];
  }
}
