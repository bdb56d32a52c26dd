// How much time is left for a command, as a bar and in whole seconds.

const EVERY_MS = 250;

export class Countdown {
  #bar;
  #seconds;
  #timer = null;

  constructor(bar, seconds) {
    this.#bar = bar;
    this.#seconds = seconds;
  }

  start(limit_s) {
    this.stop();
    const end = performance.now() + 1000 * limit_s;
    this.#bar.max = limit_s;
    const write = () => {
      const left_s = Math.max(0, (end - performance.now()) / 1000);
      this.#bar.value = left_s;
      this.#seconds.textContent = String(Math.ceil(left_s));
      if (left_s === 0) clearInterval(this.#timer);
    };
    this.#timer = setInterval(write, EVERY_MS);
    write();
  }

  stop() {
    clearInterval(this.#timer);
    this.#bar.value = 0;
    this.#seconds.textContent = "";
  }
}
