// Says a command aloud. Where the sound cannot be played, the page says so: somebody may depend on it.

import { onLanguage, t } from "./texts.js";

const FOLDER = "/web/sounds";
const KIND = "opus";

export class Prompt {
  #note;
  #audio = null;
  #failed = false;

  /** `note` is the element that tells of a sound that cannot be played. */
  constructor(note) {
    this.#note = note;
    onLanguage(() => this.#write());
  }

  /** Plays the prompt of a gesture; what played before stops. */
  async say(language, gesture) {
    this.stop();
    const audio = new Audio(`${FOLDER}/${language}/${gesture}.${KIND}`);
    this.#audio = audio;
    try {
      await audio.play();
      this.#tell(audio, false);
    } catch (error) {
      if (error.name !== "AbortError") this.#tell(audio, true); // AbortError: the next command came first
    }
  }

  stop() {
    this.#audio?.pause();
    this.#tell(this.#audio, false);
    this.#audio = null;
  }

  #tell(audio, failed) {
    if (audio !== this.#audio) return;
    this.#failed = failed;
    this.#write();
  }

  #write() {
    this.#note.textContent = this.#failed ? t("check.no_sound") : "";
  }
}
