// The same message may come over the socket and over the data channel, and one may overtake the other.

const KEPT = 32;

/** Lets each message of a check through once, and none that is older than what was let through. */
export class Order {
  #last = new Map();

  newer(message) {
    const place = placeOf(message);
    const last = this.#last.get(message.id);
    if (last && !after(place, last)) return false;
    this.#last.set(message.id, place);
    if (this.#last.size > KEPT) this.#last.delete(this.#last.keys().next().value);
    return true;
  }
}

function placeOf({ type, attempt, number, step }) {
  if (type === "check_begins") return [0, 0, 0];
  return type === "command" ? [attempt, number, step] : [attempt, Infinity, 0];
}

function after(place, last) {
  const at = place.findIndex((part, index) => part !== last[index]);
  return at >= 0 && place[at] > last[at];
}
