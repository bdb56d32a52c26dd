"""What a page said of itself stands in the record as a claim, with a grade and nothing personal."""

from __future__ import annotations

from pathlib import Path

from guard.app.check_ports import ClientClaim
from guard.app.client_record import ClientRecords, shipped_client
from guard.clock import ManualClock
from guard.evidence.book import RecordBook
from guard.signalling.check_messages import ClientMessage
from guard.signalling.messages import CameraRange, DeviceMessage, PictureFormat
from tests.evidence.support import KEY

SERVED = shipped_client()
GRADED = ClientRecords(SERVED)
FORMAT = PictureFormat(width=640, height=360, rate_hz=30.0)
DEVICE = DeviceMessage(
    type="device",
    kind="virtual",
    automated=False,
    has_id=True,
    facing=None,
    changes=0,
    requested=FORMAT,
    reported=FORMAT,
    actual=PictureFormat(width=640, height=360, rate_hz=29.7),
    range=CameraRange(max_width=1280, max_height=720, max_rate_hz=30.0, controls=2),
    first_picture_ms=250.0,
    resize_ms=None,
    jitter_ms=1.5,
    pictures=60,
)


def client(**changed: str) -> ClientMessage:
    files = {**SERVED.files, **{f"/web/js/{name}.js": digest for name, digest in changed.items()}}
    return ClientMessage(type="client", version=SERVED.version, files=files)


def test_an_honest_page_is_plain_and_its_files_are_one_hash() -> None:
    found = GRADED(ClientClaim(client(), DEVICE.model_copy(update={"kind": "physical"})), [0.05, 0.04])
    assert (found["level"], found["reasons"], found["llr"]) == ("plain", [], 0.0)
    assert found["claimed"] == {
        "version": SERVED.version,
        "files_sha256": found["served"]["files_sha256"],
        "other_files": {},
    }


def test_a_changed_file_is_named_and_a_virtual_camera_graded_but_counted_once() -> None:
    found = GRADED(ClientClaim(client(main="f" * 64), DEVICE), [0.05])
    assert found["level"] == "suspicious"
    assert found["reasons"] == ["client_files_changed", "camera_software"]
    assert found["claimed"]["other_files"] == {"/web/js/main.js": "f" * 64}
    assert found["claimed"]["files_sha256"] != found["served"]["files_sha256"]
    assert (found["llr"], found["device_llr"]) == (0.5, 0.8)
    for name in ("requested", "reported", "actual"):
        assert found["device"][name]["width"] == 640


def test_a_page_that_says_nothing_is_unusual() -> None:
    found = GRADED(ClientClaim(), [None, None])
    assert (found["level"], found["claimed"], found["device"], found["device_llr"]) == (
        "unusual",
        None,
        None,
        None,
    )
    assert found["reasons"] == ["client_silent", "no_device_report", "shown_missing"]


def test_every_finding_can_be_recorded(tmp_path: Path) -> None:
    book = RecordBook(tmp_path, KEY, ManualClock())
    for claim in (ClientClaim(), ClientClaim(client(main="0" * 64), DEVICE)):
        record = book.append("a", "challenge_attempt", {"client": GRADED(claim, [0.05, None])})
        assert record.signed_by(KEY.public)
