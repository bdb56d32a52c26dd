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
from guard.demo.puppet_actor import Actor
from guard.resources import models_dir
from guard.windows.face_models import load_face_models

RATE_HZ = 15
REST_S = 4.0
SIZE = (640, 360)

CAMERA = """
(() => {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [640, 360];
  const pen = canvas.getContext("2d");
  let clips = null, playing = "rest", at = 0, step = 1, shown = "";

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

  async function draw() {
    const now = seen();
    if (now !== shown) {
      shown = now;
      if (now in clips && window.answering !== false) [playing, at, step] = [now, 0, 1];
    }
    const pictures = clips[playing];
    const picture = await createImageBitmap(pictures[at]);
    pen.drawImage(picture, 0, 0);
    picture.close();
    at += step;
    if (playing !== "rest" && at >= pictures.length) [playing, at, step] = ["rest", 0, 1];
    if (playing === "rest" && (at >= pictures.length || at < 0)) { step = -step; at += 2 * step; }
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
    clips = {"rest": _pictures(puppet, Actor(seed), REST_S)}
    for gesture in gestures:
        actor = Actor(seed)
        end_s = actor.do(gesture, 0.6)
        clips[gesture.value] = _pictures(puppet, actor, end_s + 0.3)
    return json.dumps(clips)


def _pictures(puppet: Puppet, actor: Actor, last_s: float) -> list[str]:
    return [_jpeg(puppet, actor, number / RATE_HZ) for number in range(int(last_s * RATE_HZ))]


def _jpeg(puppet: Puppet, actor: Actor, now: float) -> str:
    file = io.BytesIO()
    image = Image.fromarray(puppet.frame(actor.pose(now)))
    image.resize(SIZE).save(file, "JPEG", quality=85)
    return base64.b64encode(file.getvalue()).decode()
