"""Participants of whom nothing arrives any more are named once."""

from __future__ import annotations

import asyncio
import socket

from guard.app.analysis import AnalysisWorker
from guard.app.check_tools import check_tools
from guard.app.parts import load_models, settings_config, thresholds_of
from guard.app.quiet import Quiet
from guard.challenge.outputs import CheckConfig
from guard.clock import ManualClock
from guard.codec.receive import ReceiveConfig
from guard.config import Settings
from guard.resources import models_dir
from guard.types import Kind, TapPacket, TrackKey
from guard.workers.wire import Decoder, Record

# 20 ms of nothing (RFC 6716: CELT, fullband, one frame of silence)
OPUS_SILENCE = b"\xf8\xff\xfe"


def test_who_sends_nothing_for_a_minute_is_named_once_and_again_after_coming_back() -> None:
    quiet = Quiet(60.0)
    quiet.heard(("s", "a"), 10.0)
    quiet.heard(("s", "b"), 40.0)
    assert quiet.due(69.9) == []
    assert quiet.due(70.0) == [("s", "a")]
    assert quiet.due(71.0) == []
    quiet.heard(("s", "a"), 80.0)
    assert sorted(quiet.due(200.0)) == [("s", "a"), ("s", "b")]


def test_who_left_is_not_named() -> None:
    quiet = Quiet(60.0)
    quiet.heard(("s", "a"), 0.0)
    quiet.forget(("s", "a"))
    assert quiet.due(1000.0) == []


async def test_the_analysis_process_lets_lapse_what_nobody_sends_any_more() -> None:
    """Six seconds of a silent microphone arrive, then a minute passes without a packet."""
    clock = ManualClock(100.0)
    worker = AnalysisWorker(
        clock,
        load_models(models_dir()),
        config=settings_config(Settings()),
        receive=ReceiveConfig(),
        thresholds_of=thresholds_of,
        checks=check_tools(CheckConfig(), None),
    )
    key = TrackKey("s", "p", Kind.AUDIO)
    for n in range(300):
        worker.receive(TapPacket(key, "opus", n, n * 960, False, 100.0 + n / 50, OPUS_SILENCE))
    clock.advance(66.0)
    ours, theirs = socket.socketpair()
    running = asyncio.create_task(worker.run(theirs))
    ours.setblocking(False)
    decoder, told = Decoder(), list[Record]()
    while not any(isinstance(m, dict) and m["type"] == "verdict" for m in told):
        told += decoder.feed(await asyncio.get_running_loop().sock_recv(ours, 65536))
    ours.close()
    await running
    (verdict,) = [m for m in told if isinstance(m, dict) and m["type"] == "verdict"]
    assert verdict["signals"]["voice_spoof"]["reason"] == "lapsed"
    assert verdict["state"] == "undecided"
