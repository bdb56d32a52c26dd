from __future__ import annotations

import sys

import pytest

from benchmarks import loss
from benchmarks.loss_server import Listener
from guard.types import Kind, TapPacket, TrackKey
from guard.workers.wire import encode_tap

PAGE = {"encoded": 100, "decoded": 0, "freezes": 1, "dropped": 0, "video_lost": 3, "video_received": 300}
VOICE = {"lost": 5, "packets": 95, "heard": 9.0, "concealed": 0.5, "last": 10.0}


def test_each_sender_is_judged_by_what_the_other_page_decoded() -> None:
    seen = {"customer": {**PAGE, "decoded": 90}, "agent": {**PAGE, "decoded": 98, "encoded": 120}}
    shares = loss.judge(seen, {"voices": {"customer": VOICE, "agent": VOICE}})
    assert shares["customer"]["frames_decoded_share"] == 0.98
    assert shares["agent"]["frames_decoded_share"] == 0.75
    assert shares["agent"]["voice_covered_share"] == 0.95
    assert shares["agent"]["voice_packets_lost_share"] == 0.05


def test_without_root_it_says_so_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["loss"])
    assert loss.main() == 2
    assert "root" in capsys.readouterr().err


def test_listener_counts_what_was_heard_and_what_was_concealed() -> None:
    key = TrackKey("s", "customer", Kind.AUDIO)
    silence = b"\xf8\xff\xfe"  # one 20 ms packet of Opus silence
    listener = Listener()
    for number in range(50):
        if number % 10 != 5:
            packet = TapPacket(key, "opus", number, number * 960, False, number * 0.02, silence)
            assert listener.write(encode_tap(packet))
    voice = listener.report()["customer"]
    assert voice["packets"] == 45
    assert voice["lost"] == 5
    assert voice["heard"] == pytest.approx(0.9)
    assert voice["concealed"] == pytest.approx(0.1)
    assert voice["last"] == pytest.approx(1.0)
