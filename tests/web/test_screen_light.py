"""The screen light in Chromium: a face that carries the colours of the page, one that does not, a replay.

The camera is a canvas with the portrait of the fixtures. Its skin is tinted by the colour that the page
really shows, read off the page as a camera would see it: late, faint, noisy. Chromium encodes and sends it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Playwright, Route

from tests.web.conftest import Server, serving
from tests.web.media import FakeDevices
from tests.web.test_call import NARROW, Stage, Visitor, wait_until
from tests.web.test_checks import ended, start

pytestmark = [pytest.mark.browser, pytest.mark.timeout(480)]

PORTRAIT = Path(__file__).resolve().parents[1] / "fixtures" / "astronaut.jpg"

# share of the light on the face that is the screen's; how late the camera is; the head in the picture
CAMERA = """
(() => {
  const SHARE = 0.25, LATE_MS = 150, RATE_HZ = 15, LEVEL = 0.55, HEAD = [281, 155, 95, 125];
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [640, 360];
  const pen = canvas.getContext("2d");
  const portrait = new Image();
  const grain = document.createElement("canvas");
  const seen = [];      // [time, colour] of what the page showed, newest last
  let recorded = [];    // the same from the first colour of a check on
  window.lightFace = "follows";   // or "still" or "replays"
  window.lightRecorded = () => recorded.length;

  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const coded = (v) => v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055;

  function onScreen() {
    const lit = document.querySelector("#check[open].lit");
    if (!lit) return null;
    return getComputedStyle(lit).backgroundColor.match(/[0-9.]+/g).slice(0, 3).map((v) => v / 255);
  }

  let playing = null;   // when the replay of what was recorded began
  function look(now) {
    const colour = onScreen();
    const last = seen.length ? seen[seen.length - 1][1] : null;
    const changed = String(colour) !== String(last);
    if (changed) seen.push([now, colour]);
    if (colour && changed && window.lightFace === "follows") {
      if (!last) recorded = [];
      recorded.push([now, colour]);
    }
    if (!colour) playing = null;
    else if (playing === null) playing = now;
  }

  const at = (list, time) => list.reduce((found, [begun, colour]) => begun <= time ? colour : found, null);

  function onFace(now) {
    if (window.lightFace === "still") return null;
    if (window.lightFace === "follows") return at(seen, now - LATE_MS);
    return playing === null ? null : at(recorded, recorded[0][0] + now - playing - LATE_MS);
  }

  function tint(colour) {
    const light = (colour ?? [0, 0, 0].map(() => coded(LEVEL))).map((v) => linear(v) / LEVEL - 1);
    return light.map((v) => Math.round(255 * 0.85 * coded((1 + SHARE * v) / 1.3) / coded(1 / 1.3)));
  }

  function draw() {
    const now = performance.now();
    look(now);
    const [x, y, a, b] = HEAD;
    const [dx, dy] = [2 * Math.sin(now / 1700), 1.5 * Math.sin(now / 2300)];
    pen.globalCompositeOperation = "source-over";
    pen.globalAlpha = 1;
    pen.drawImage(portrait, 0, 0, portrait.width, portrait.height * 360 / 640, dx, dy, 640, 360);
    pen.globalCompositeOperation = "multiply";
    pen.fillStyle = "rgb(217 217 217)";
    pen.beginPath();
    pen.rect(0, 0, 640, 360);
    pen.ellipse(x + dx, y + dy, a, b, 0, 0, 2 * Math.PI);
    pen.fill("evenodd");
    pen.fillStyle = `rgb(${tint(onFace(now)).join(" ")})`;
    pen.beginPath();
    pen.ellipse(x + dx, y + dy, a, b, 0, 0, 2 * Math.PI);
    pen.fill();
    pen.globalCompositeOperation = "source-over";
    pen.globalAlpha = 0.06;
    pen.drawImage(grain, -Math.random() * 200, -Math.random() * 200);
  }

  function scatter() {
    [grain.width, grain.height] = [840, 560];
    const picture = grain.getContext("2d").createImageData(840, 560);
    for (let n = 0; n < picture.data.length; n++) picture.data[n] = n % 4 === 3 ? 255 : 256 * Math.random();
    grain.getContext("2d").putImageData(picture, 0, 0);
  }

  let ready = null;
  function prepare() {
    scatter();
    portrait.src = "/test-portrait.jpg";
    return portrait.decode().then(() => setInterval(draw, 1000 / RATE_HZ));
  }

  navigator.mediaDevices.getUserMedia = async (wanted) => {
    if (!wanted.video) return open(wanted);
    ready ??= prepare();
    await ready;
    const stream = canvas.captureStream(RATE_HZ);
    const sound = wanted.audio ? (await open({ audio: true })).getAudioTracks() : [];
    for (const track of sound) stream.addTrack(track);
    return stream;
  };
})();
"""


def put_before_camera(page: Page) -> None:
    def answer(route: Route) -> None:
        route.fulfill(body=PORTRAIT.read_bytes(), content_type="image/jpeg")

    page.route("**/test-portrait.jpg", answer)
    page.add_init_script(CAMERA)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # two browsers and the analysis on two cores: a late heartbeat is not what is tested here
    settings = {
        "GUARD_ANALYSIS__WORKER__HEARTBEAT_TIMEOUT_S": "30",
        "GUARD_ANALYSIS__WORKER__HANG_TIMEOUT_S": "30",
        "GUARD_ANALYSIS__WORKER__START_TIMEOUT_S": "120",
        "GUARD_ANALYSIS__FACE__RATE_HZ": "1",
    }
    with serving(tmp_path_factory.mktemp("data"), **settings) as running:
        yield running


@pytest.fixture
def stage(server: Server, playwright: Playwright, devices: dict[str, FakeDevices]) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(server, playwright, devices, stack)


def judged(stage: Stage) -> list[dict[str, Any]]:
    """Return what the signed records say of every screen light of the session so far."""
    book = stage.server.folder / "records" / f"{stage.session}.jsonl"
    lines = book.read_text().splitlines() if book.exists() else []
    attempts = [json.loads(line)["body"] for line in lines if '"challenge_attempt"' in line]
    return [asked for body in attempts for asked in body["commands"] if asked["gesture"] == "screen_light"]


def check(stage: Stage, customer: Visitor, agent: Visitor, face: str) -> tuple[str, list[dict[str, Any]]]:
    """Let a check be done with this face; returns its result and what was said of each screen light.

    A machine that is so busy that no face is seen for two seconds has it done again.
    """
    panel = agent.page.locator('[data-checks="customer"]')
    customer.page.evaluate("face => { window.lightFace = face; }", face)
    for _ in range(3):
        before = len(judged(stage))
        start(panel, "Screen light")
        result = ended(panel, agent.page)
        customer.page.get_by_role("button", name="Back to the call").click()
        found = [one for one in judged(stage)[before:] if one["reason"] != "light_unmeasured"]
        if found:
            return result, found
    raise AssertionError("the face was never seen for long enough")


def test_a_face_that_follows_the_page_matches_and_one_that_does_not_or_replays_does_not(stage: Stage) -> None:
    customer = stage.enter("customer", None, NARROW, prepare=put_before_camera)
    agent = stage.enter("agent", None, NARROW)
    for visitor in (customer, agent):
        visitor.join()
    wait_until(agent.page, lambda: agent.decoded("customer") > 0, "the customer's picture", 30)

    result, follows = check(stage, customer, agent, "follows")
    assert follows[-1]["answer"] == "matched", follows
    assert follows[-1]["details"]["correlation"] > 0.8
    assert follows[-1]["llr"] < -2
    # a browser that a program drives weighs against the person, so that this alone may not be enough
    assert result in ("pass", "inconclusive")
    assert customer.page.evaluate("window.lightRecorded()") >= 6, "there is a code to replay"

    result, still = check(stage, customer, agent, "still")
    assert {one["answer"] for one in still} == {"unseen"}, still
    assert result == "inconclusive"

    result, replays = check(stage, customer, agent, "replays")
    # a busy machine plays the recording so unevenly that it may no longer be known again
    assert {one["answer"] for one in replays} <= {"mismatched", "unseen"}, replays
    assert result in ("fail", "inconclusive")
    assert customer.problems == agent.problems == []
