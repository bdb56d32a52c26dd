// The room's WebSocket (docs/signalling.md): joins, keeps trying when the network breaks, matches answers.

const FINAL = { 1000: "left", 4401: "expired", 4403: "forbidden", 4404: "unknown", 4409: "replaced", 4410: "ended" };
const FULL = 4503;
const TRIES = 8;
const ANSWER_MS = 15000;

/** Events: welcome, message (everything else), lost (trying again), over (detail = why). */
export class Room extends EventTarget {
  #access;
  #language;
  #socket = null;
  #waiting = new Map();
  #nextId = 1;
  #tries = 0;
  #over = false;

  constructor(access, language) {
    super();
    this.#access = access;
    this.#language = language;
  }

  connect() {
    const { session, token } = this.#access;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/${session}?token=${encodeURIComponent(token)}`);
    this.#socket = socket;
    socket.onopen = () => this.send({ type: "join", consent: true, language: this.#language });
    socket.onmessage = (event) => this.#take(JSON.parse(event.data));
    socket.onclose = (event) => this.#closed(event.code);
  }

  /** Tells guard, now and after every joining, in which language the page is read. */
  reads(language) {
    this.#language = language;
    this.send({ type: "language", language });
  }

  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ v: 1, ...message }));
  }

  /** Sends an offer and returns the answer's SDP. */
  offer(sdp, subscriptions, fresh) {
    const id = this.#nextId++;
    const answer = new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, "reject", new Error("timeout")), ANSWER_MS);
      this.#waiting.set(id, { resolve, reject, timer });
    });
    this.send({ type: "offer", id, sdp, subscriptions, fresh });
    return answer;
  }

  leave() {
    this.send({ type: "leave" });
    this.#end("left");
  }

  #take(message) {
    if (message.type === "answer") return this.#settle(message.id, "resolve", message.sdp);
    if (message.type === "error" && this.#waiting.has(message.re)) {
      const error = new Error(message.message);
      error.code = message.code;
      return this.#settle(message.re, "reject", error);
    }
    if (message.type === "welcome") this.#tries = 0;
    const kind = message.type === "welcome" ? "welcome" : "message";
    this.dispatchEvent(new CustomEvent(kind, { detail: message }));
  }

  #settle(id, how, value) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    waiting[how](value);
  }

  #closed(code) {
    for (const id of [...this.#waiting.keys()]) this.#settle(id, "reject", new Error("closed"));
    if (this.#over) return;
    if (code in FINAL) return this.#end(FINAL[code]);
    if (this.#tries >= TRIES) return this.#end(code === FULL ? "full" : "lost");
    const wait = Math.min(8000, 500 * 2 ** this.#tries++);
    this.dispatchEvent(new CustomEvent("lost"));
    setTimeout(() => this.#over || this.connect(), wait);
  }

  #end(why) {
    if (this.#over) return;
    this.#over = true;
    this.dispatchEvent(new CustomEvent("over", { detail: why }));
  }
}
