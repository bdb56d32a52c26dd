// Says what a check shows. Where a sound cannot be played, the page says so: somebody may depend on it.

import { onLanguage, t } from "./texts.js";

const FOLDER = "/web/sounds";

let known = null;

/** Returns where the sounds of words are, by language; throws where they cannot be read. */
async function words() {
  known ??= fetch(`${FOLDER}/words.json`).then((response) => {
    if (!response.ok) throw new Error(`sounds: ${response.status}`);
    return response.json();
  });
  try {
    return await known;
  } catch (error) {
    known = null; // asked again the next time
    throw error;
  }
}

/** Returns the sounds of words that are to be read aloud; throws where one of them has none. */
export async function soundsOf(asked) {
  const all = Object.entries(await words());
  const [language, list] = all.find(([, found]) => asked.every((word) => found.includes(word))) ?? [];
  if (!list) throw new Error("sounds: no such words");
  return asked.map((word) => `${language}/word.${list.indexOf(word)}`);
}

export class Prompt {
  #note;
  #audio = null;
  #turn = 0;
  #failed = false;

  /** `note` is the element that tells of a sound that cannot be played. */
  constructor(note) {
    this.#note = note;
    onLanguage(() => this.#write());
  }

  /** Plays sounds (`ru/command.look_up`) one after the other; `more()` may give further ones. What played before stops. */
  async say(sounds, more = async () => []) {
    this.stop();
    const turn = this.#turn;
    try {
      for (const sound of sounds) await this.#play(sound, turn);
      if (turn !== this.#turn) return;
      for (const sound of await more()) await this.#play(sound, turn);
    } catch {
      if (turn === this.#turn) this.#tell(true);
    }
  }

  async #play(sound, turn) {
    if (turn !== this.#turn) return;
    const audio = new Audio(`${FOLDER}/${sound}.webm`);
    this.#audio = audio;
    await new Promise((resolve, reject) => {
      audio.onended = audio.onpause = resolve;
      audio.onerror = reject;
      audio.play().catch(reject);
    });
  }

  stop() {
    this.#turn += 1;
    this.#audio?.pause();
    this.#audio = null;
    this.#tell(false);
  }

  #tell(failed) {
    this.#failed = failed;
    this.#write();
  }

  #write() {
    this.#note.textContent = this.#failed ? t("check.no_sound") : "";
  }
}
