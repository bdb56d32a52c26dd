from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import relay, relay_media
from benchmarks.relay_case import Case, Result, packet_delays_s, percentiles_ms
from benchmarks.relay_report import draw, table
from guard.codec.encode import VideoEncoder
from guard.codec.video import PictureDecoder
from guard.media.clip import Clip, EncodedPacket
from guard.media.rtp import parse_rtp


def small_clip() -> Clip:
    audio = tuple(EncodedPacket(i * 0.02, f"opus{i}".encode()) for i in range(10))
    video = tuple(EncodedPacket(i / 30, bytes([0x10]) + f"frame{i}".encode() * 300) for i in range(6))
    return Clip(audio, video, "vp8", 0.2)


def test_painted_numbers_survive_the_encoder() -> None:
    encoder = VideoEncoder("vp8", 640, 360, bit_rate=300_000)
    decoder = PictureDecoder("vp8")
    read = []
    for number in (0, 1, 5, 4095, 32767, 20000):
        picture = np.full((540, 640), 128, np.uint8)
        relay_media.paint_number(picture[:360], number)
        decoded = decoder.decode(encoder.encode(picture)[0])
        assert decoded is not None
        read.append(relay_media.read_number(np.array(decoded.to_ndarray(format="gray"), np.uint8)))
    assert read == [0, 1, 5, 4095, 32767, 20000]
    assert relay_media.read_number(np.full((360, 640), 120, np.uint8)) is None


def test_sender_loops_with_continuous_numbers() -> None:
    clip = small_clip()
    sender = relay_media.ShotSender(relay_media.shots(clip), clip.duration_s, (1, 2), 0.0)
    packets = [parse_rtp(sender.take()[1]) for _ in range(80)]
    for ssrc, step in ((1, 960), (2, 3000)):
        mine = [p for p in packets if p.ssrc == ssrc]
        assert [p.sequence - mine[0].sequence for p in mine] == list(range(len(mine)))
        times = sorted({p.timestamp for p in mine})
        assert all(abs(b - a - step) <= 1 for a, b in pairwise(times))


def test_hash_ignores_what_a_relay_rewrites() -> None:
    clip = small_clip()
    sender = relay_media.ShotSender(relay_media.shots(clip), clip.duration_s, (1, 2), 0.0)
    for _ in range(80):
        shot, data = sender.take()
        assert relay_media.payload_hash(data[12:], shot.video) == shot.hash


def test_delays_are_matched_by_publisher_and_round() -> None:
    sent = {
        "streams": np.array([0, 0, 1, 0]),
        "hashes": np.array([7, 8, 7, 7]),
        "times": np.array([1.0, 1.1, 1.2, 9.0]),
    }
    got = {
        "streams": np.array([0, 1, 0, 0, 0]),
        "hashes": np.array([7, 7, 8, 7, 99]),
        "times": np.array([1.01, 1.23, 1.105, 9.02, 5.0]),
    }
    assert sorted(packet_delays_s(sent, got)) == pytest.approx([0.005, 0.01, 0.02, 0.03])
    assert percentiles_ms(np.empty(0)) is None


def test_the_same_bytes_twice_within_the_window_are_left_out() -> None:
    sent = {"streams": np.zeros(2), "hashes": np.array([7, 7]), "times": np.array([1.0, 1.5])}
    got = {"streams": np.zeros(1), "hashes": np.array([7]), "times": np.array([1.51])}
    assert len(packet_delays_s(sent, got)) == 0


def test_report_shows_what_was_left_out_and_why(tmp_path: Path) -> None:
    case = {"system": "guard", "calls": 1, "parties": 2}
    delay = {"p50": 0.3, "p95": 0.6, "p99": 1.0, "n": 10.0}
    measured = Result(case, 5.0, 0.02, 1.5, 40.0, delay, "packets", 230.0, 1.0, 0.03, 0.01, 2.0)
    skipped = relay.empty(Case("aiortc", 10, 2), relay.not_run(Case("aiortc", 10, 2)) or "")
    text = table([measured, skipped])
    assert "0.3 / 0.6 / 1.0" in text
    assert "starves" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1
    draw([measured, skipped], tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        assert image.width == 900


def row(system: str, calls: int, cpu: float) -> Result:
    case = {"system": system, "calls": calls, "parties": 2}
    return Result(case, 5.0, cpu, 1.0, 1.0, None, "", 1.0, 1.0, 0.0, 0.0, 0.0)


def test_the_median_run_counts_and_a_failed_one_does_not() -> None:
    failed = relay.empty(Case("guard", 1, 2), "failed: x")
    runs = [row("guard", 1, 0.05), failed, row("guard", 1, 0.02), row("guard", 1, 0.03)]
    assert relay.median(runs).cpu_s_per_call_s == 0.03
    assert relay.median([failed]).note == "failed: x"


def test_ratios_compare_the_same_size_only() -> None:
    rows = [row("guard", 1, 0.02), row("guard_tap", 1, 0.021), row("janus", 10, 0.1)]
    assert relay.ratios(rows) == {"guard_tap over guard, 1 x 2": 1.05}
