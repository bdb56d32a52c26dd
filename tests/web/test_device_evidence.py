"""What the call page says of its camera: from Chromium's fake camera to the signal's line in the session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Playwright, WebSocketRoute

from guard.detectors.virtual_camera import CameraKind, graded, read_report
from guard.signalling.messages import DeviceMessage, parse_message
from tests.web.conftest import Server, browser, serving
from tests.web.media import FakeDevices
from tests.web.test_call import NARROW, Stage, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

LABELS = {
    "OBS Virtual Camera": "virtual",
    "OBS-Camera": "virtual",
    "ManyCam Virtual Webcam": "virtual",
    "XSplit Broadcaster": "virtual",
    "Dummy video device (0x0000)": "virtual",
    "v4l2loopback": "virtual",
    "Snap Camera": "effects",
    "XSplit VCam": "effects",
    "NVIDIA Broadcast": "effects",
    "Camera (NVIDIA Broadcast)": "effects",
    "mmhmm Camera": "effects",
    "fake_device_0": "test",
    "/home/somebody/face.y4m": "test",
    "DroidCam Source 3": "bridge",
    "Cam Link 4K (0fd9:0066)": "capture",
    "Integrated Camera (13d3:56a2)": "physical",
    "FaceTime HD Camera": "physical",
    "HD Pro Webcam C920 (046d:082d)": "physical",
    "Hobson's own lens": "physical",
    "": "hidden",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # a browser and the analysis on two cores: a late heartbeat is not what is tested here
    patience = {"HEARTBEAT_TIMEOUT_S": "30", "HANG_TIMEOUT_S": "30", "START_TIMEOUT_S": "120"}
    settings = {f"GUARD_ANALYSIS__WORKER__{name}": value for name, value in patience.items()}
    with serving(tmp_path_factory.mktemp("data"), **settings) as running:
        yield running


@pytest.fixture
def stage(server: Server, playwright: Playwright, devices: dict[str, FakeDevices]) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(server, playwright, devices, stack)


def test_names_are_told_apart_in_the_browser(server: Server, playwright: Playwright) -> None:
    with browser(playwright) as opened:
        page = opened.new_context(ignore_https_errors=True).new_page()
        page.goto(server.url)
        found: dict[str, str] = page.evaluate(
            "async (labels) => { const { kindOf } = await import('/web/js/device.js');"
            " return Object.fromEntries(labels.map((label) => [label, kindOf(label)])); }",
            list(LABELS),
        )
    assert found == LABELS
    assert set(found.values()) == {kind.value for kind in CameraKind}


def test_a_fake_camera_is_reported_graded_and_shown_and_its_name_stays_in_the_page(stage: Stage) -> None:
    customer = stage.enter("customer", "customer_genuine", NARROW)
    sent: list[str] = []

    def watch(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def forward(message: str | bytes) -> None:
            sent.append(str(message))
            server.send(message)

        route.on_message(forward)

    customer.page.route_web_socket("**/ws/**", watch)
    customer.join()

    def reports() -> list[str]:
        return [text for text in sent if json.loads(text)["type"] == "device"]

    wait_until(customer.page, lambda: len(reports()) >= 2, "a second report", 20)

    label = customer.page.evaluate(
        "document.querySelector('.tile.own video').srcObject.getVideoTracks()[0].label"
    )
    assert label
    assert not any(label in text for text in reports()), "the camera's name left the browser"
    last = parse_message(reports()[-1])
    assert isinstance(last, DeviceMessage)
    assert (last.kind, last.automated, last.pictures > 10) == ("test", True, True)
    assert last.first_picture_ms is not None
    assert last.actual.rate_hz is not None
    assert 1 < last.actual.rate_hz < 40, "a busy machine shows fewer of the 24 pictures a second"
    llr, clues = graded(read_report(last.model_dump()))
    assert {"kind_test", "automated"} <= set(clues)
    assert llr == 1.0

    def line() -> dict[str, Any]:
        return dict(stage.standing()["signals"].get("virtual_camera", {}))

    wait_until(customer.page, lambda: line().get("llr") is not None, "the signal's line", 90)
    assert 0 < line()["llr"] <= 1.0
    assert line()["reason"] is None
    assert customer.problems == []


def test_the_camera_has_its_old_size_again_after_the_question(
    server: Server, playwright: Playwright, devices: dict[str, FakeDevices]
) -> None:
    with browser(playwright, devices["customer_genuine"]) as opened:
        page = opened.new_context(ignore_https_errors=True).new_page()
        page.goto(server.url)  # without a link the page itself opens no camera
        seen: dict[str, Any] = page.evaluate(
            """async () => {
              const { CameraWatch } = await import('/web/js/device.js');
              const { openCamera, WANTED_VIDEO } = await import('/web/js/media.js');
              const from = performance.now();
              const stream = await openCamera();
              const watch = new CameraWatch(stream, WANTED_VIDEO, from);
              await watch.probe();
              const { width, height } = stream.getVideoTracks()[0].getSettings();
              return { width, height, report: watch.report() };
            }"""
        )
    assert (seen["width"], seen["height"]) == (640, 360)
    parse_message(json.dumps({"v": 1, "type": "device", **seen["report"]}))
    assert 0 < seen["report"]["resize_ms"] < 2000
    assert seen["report"]["first_picture_ms"] > 0
