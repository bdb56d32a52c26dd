"""A rendered person before the browser's camera: clips are drawn beforehand, the page's own screen picks one.

The person is ``guard.demo.puppet``; every picture carries the word RENDERED. What to do is read off the page
as a person would: from the drawing of the command on the screen. Chromium encodes and sends the pictures.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence

from PIL import Image
from playwright.sync_api import Page, Route

from guard.challenge.commands import Gesture
from guard.demo.puppet import Puppet
from guard.demo.puppet_actor import Actor, Manner
from guard.resources import models_dir
from guard.windows.face_models import load_face_models

RATE_HZ = 15
REST_S = 4.0
SIZE = (640, 360)
# brisk, so that one movement is over before the next command comes, on a busy machine too
MANNER = Manner(move_s=(0.4, 0.5), hold_s=(0.5, 0.6))

CAMERA = """
(() => {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [640, 360];
  const pen = canvas.getContext("2d");
  let clips = null, playing = "rest", since = performance.now(), shown = "";

  async function load() {
    const found = await (await fetch("/test-clips.json")).json();
    clips = Object.fromEntries(Object.entries(found).map(([name, pictures]) => [name, pictures.map((text) =>
      new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type: "image/jpeg" }))]));
  }

  // what is on the screen; no gesture is asked for twice in an attempt
  function seen() {
    const drawing = document.querySelector("#check[open] #check-task:not([hidden]) svg[data-gesture]");
    return drawing?.dataset.gesture ?? "";
  }

  // by the clock, not by the count: a busy machine drops pictures and slows nobody down
  function due() {
    const at = Math.floor((performance.now() - since) / 1000 * RATE_HZ);
    const pictures = clips[playing];
    if (playing === "rest") {
      const turn = 2 * (pictures.length - 1);
      return pictures[Math.min(at % turn, turn - at % turn)];
    }
    if (at < pictures.length) return pictures[at];
    [playing, since] = ["rest", performance.now()];
    return clips.rest[0];
  }

  async function draw() {
    const now = seen();
    if (now !== shown) {
      shown = now;
      if (now in clips && window.answering !== false) [playing, since] = [now, performance.now()];
    }
    const picture = await createImageBitmap(due());
    pen.drawImage(picture, 0, 0);
    picture.close();
  }

  navigator.mediaDevices.getUserMedia = async (wanted) => {
    if (!wanted.video) return open(wanted);
    if (!clips) {
      await load();
      await draw();
      setInterval(draw, 1000 / RATE_HZ);
    }
    const stream = canvas.captureStream(RATE_HZ);
    const sound = wanted.audio ? (await open({ audio: true })).getAudioTracks() : [];
    for (const track of sound) stream.addTrack(track);
    return stream;
  };
})();
""".replace("RATE_HZ", str(RATE_HZ))


def put_before_camera(page: Page, clips: str) -> None:
    """Let the page's camera be this person; to be called before the page is opened."""

    def answer(route: Route) -> None:
        route.fulfill(body=clips, content_type="application/json")

    page.route("**/test-clips.json", answer)
    page.add_init_script(CAMERA)


def render(gestures: Sequence[Gesture], *, seed: int = 5) -> str:
    """Return the person at rest and doing each gesture, as JSON: name -> JPEG pictures in base64."""
    puppet = Puppet.bundled(load_face_models(models_dir()), seed=seed)
    clips = {"rest": _pictures(puppet, Actor(seed, MANNER), REST_S)}
    for gesture in gestures:
        actor = Actor(seed, MANNER)
        end_s = actor.do(gesture, 0.5)
        clips[gesture.value] = _pictures(puppet, actor, end_s + 0.1)
    return json.dumps(clips)


def _pictures(puppet: Puppet, actor: Actor, last_s: float) -> list[str]:
    return [_jpeg(puppet, actor, number / RATE_HZ) for number in range(int(last_s * RATE_HZ))]


def _jpeg(puppet: Puppet, actor: Actor, now: float) -> str:
    file = io.BytesIO()
    image = Image.fromarray(puppet.frame(actor.pose(now)))
    image.resize(SIZE).save(file, "JPEG", quality=85)
    return base64.b64encode(file.getvalue()).decode()
