"""A drill in the real analysis process: packets and orders over the link, what is found of it back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from itertools import count
from typing import Any

from guard.app.analysis import AnalysisWorker
from guard.app.check_tools import check_tools
from guard.app.parts import load_models, settings_config, thresholds_of
from guard.challenge.outputs import CheckConfig
from guard.clock import ManualClock
from guard.codec.packets import read_clip
from guard.codec.receive import ReceiveConfig
from guard.config import Settings
from guard.media import vp8
from guard.resources import clips_dir, models_dir
from guard.types import Kind, TapPacket, TrackKey
from guard.workers.wire import Decoder, encode_message, encode_tap

WHO = {"session": "s", "participant": "p"}
BEGIN_S = 100.0
CALL_S = 6.0


def packets() -> Iterator[TapPacket]:
    """The bundled genuine customer, as the tap hands it over."""
    clip = read_clip(clips_dir() / "customer_genuine.webm")
    voice, face = (TrackKey("s", "p", kind) for kind in (Kind.AUDIO, Kind.VIDEO))
    out = [
        TapPacket(voice, "opus", n, n * 960, False, BEGIN_S + p.time_s, p.data)
        for n, p in enumerate(clip.audio)
    ]
    sequence = count()
    for n, picture in enumerate(clip.video):
        *parts, last = vp8.packetize(picture.data, picture_id=n)
        stamp, arrival_s = round(picture.time_s * 90_000), BEGIN_S + picture.time_s
        out += [TapPacket(face, "vp8", next(sequence), stamp, False, arrival_s, part) for part in parts]
        out.append(TapPacket(face, "vp8", next(sequence), stamp, True, arrival_s, last))
    in_time = sorted(out, key=lambda packet: packet.arrival_s)
    return (packet for packet in in_time if packet.arrival_s < BEGIN_S + CALL_S)


async def test_the_analysis_process_plays_an_attack_and_tells_of_it_apart_from_the_participant() -> None:
    clock = ManualClock(BEGIN_S)
    worker = AnalysisWorker(
        clock,
        load_models(models_dir()),
        config=settings_config(Settings()),
        receive=ReceiveConfig(),
        thresholds_of=thresholds_of,
        checks=check_tools(CheckConfig(), None),
    )
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    running = asyncio.create_task(worker.run(theirs))
    loop, told = asyncio.get_running_loop(), list[dict[str, Any]]()
    order = {"id": "d", **WHO, "attack": "both", "after_s": 0.5, "seconds": 3.0}
    records = [encode_tap(packet) for packet in packets()]
    sending = asyncio.create_task(
        loop.sock_sendall(ours, b"".join([*records, encode_message({"type": "drill_begin", **order})]))
    )
    decoder = Decoder()
    while not any(message["type"] == "drill_over" for message in told):
        for message in decoder.feed(await loop.sock_recv(ours, 65536)):
            assert isinstance(message, dict)
            told.append(message)
            if sending.done() and message["type"] == "heartbeat":
                clock.advance(0.5)
    ours.close()
    await running
    kinds = [message["type"] for message in told if message["type"].startswith("drill_")]
    assert (kinds[0], kinds[-1]) == ("drill_begun", "drill_over")
    assert set(kinds[1:-1]) == {"drill_verdict"}
    over = next(message for message in told if message["type"] == "drill_over")
    assert (over["why"], over["own_state"]) == ("time", "undecided")
    assert over["judged"] > 0
    assert {(m["session"], m["participant"]) for m in told if m["type"] != "heartbeat"} == {("s", "p")}
    found = [message for message in told if message["type"] == "drill_verdict"]
    assert found[-1]["signals"]["face_frame"]["llr"] is not None
