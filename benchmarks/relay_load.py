"""A load process of the relay benchmark: all publishers, or all subscribers, of one case.

Reads its orders as JSON lines on stdin, answers on stdout: the case, then ``go`` and ``stop``.
At ``stop`` it writes what it saw (times on the host's monotonic clock) to an ``.npz`` file.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from benchmarks.relay_media import Shot, ShotSender, payload_hash, read_number
from benchmarks.relay_signalling import Signalling, open_signalling
from benchmarks.wire_peer import WirePeer
from guard.codec.video import PictureDecoder
from guard.errors import PeerError
from guard.media.rtp import parse_rtp
from guard.media.vp8 import Vp8Assembler

SEND_EVERY_S = 0.002
Order = dict[str, Any]


def read_media(path: str) -> tuple[list[Shot], float]:
    """Return the packets and the length of the clip, as the benchmark left them for its processes."""
    media: tuple[list[Shot], float] = pickle.loads(Path(path).read_bytes())
    return media


class Log:
    """Packets of the measured window: stream number, packet hash, time; and numbered pictures likewise."""

    def __init__(self) -> None:
        self.on = False
        self.streams: list[int] = []
        self.hashes: list[int] = []
        self.times: list[float] = []
        self.frames: list[tuple[int, int, float]] = []

    def save(self, path: Path) -> None:
        np.savez(
            path,
            streams=np.array(self.streams, np.int32),
            hashes=np.array(self.hashes, np.int64),
            times=np.array(self.times, np.float64),
            frames=np.array(self.frames, np.float64).reshape(-1, 3),
        )


class Publishers:
    """Sends the clip for every participant of the case."""

    def __init__(self, order: Order, signalling: Signalling) -> None:
        self._order = order
        self._signalling = signalling
        self.log = Log()
        self.peers: list[WirePeer] = []
        self._senders: list[tuple[int, WirePeer, ShotSender]] = []
        self.late_s = 0.0

    async def connect(self) -> None:
        media = read_media(self._order["clip"])
        chance = random.Random(self._order["seed"])
        for number, (session, participant) in enumerate(self._order["participants"]):
            ssrcs = (10_000 + 2 * number, 10_001 + 2 * number)
            peer = WirePeer(ssrcs, tuple(self._order["addresses"]))
            answer = await self._signalling.publish(session, participant, await peer.offer())
            await peer.take_answer(answer)
            await peer.connected()
            sender = ShotSender(*media, ssrcs, chance.random() * 0.5 * media[1])
            self.peers.append(peer)
            self._senders.append((number, peer, sender))

    async def run(self) -> None:
        """Send for ever, each packet when its media time has come."""
        base = time.monotonic() + 0.1
        starts = [base - sender.due_s for _, _, sender in self._senders]
        while True:
            now = time.monotonic()
            for (number, peer, sender), start in zip(self._senders, starts, strict=True):
                while start + sender.due_s <= now:
                    self.late_s = max(self.late_s, now - start - sender.due_s) if self.log.on else 0.0
                    self._send(number, peer, sender)
            await asyncio.sleep(SEND_EVERY_S)

    def _send(self, number: int, peer: WirePeer, sender: ShotSender) -> None:
        shot, data = sender.take()
        now = time.monotonic()
        peer.transport.send_rtp(data)
        if self.log.on:
            self.log.streams.append(number)
            self.log.hashes.append(shot.hash)
            self.log.times.append(now)
            if shot.video and shot.marker:
                self.log.frames.append((number, shot.frame, now))


class Subscribers:
    """Receives every participant of the case at every other one."""

    def __init__(self, order: Order, signalling: Signalling) -> None:
        self._order = order
        self._signalling = signalling
        self.log = Log()
        self.peers: list[WirePeer] = []
        self.received = 0
        self.late_s = 0.0

    async def connect(self) -> None:
        numbers = {tuple(who): n for n, who in enumerate(self._order["participants"])}
        for session, participant in self._order["participants"]:
            for (other_session, other), number in numbers.items():
                if other_session != session or other == participant:
                    continue
                pictures = bool(self._order["decode"]) and not self.peers
                peer = WirePeer(addresses=tuple(self._order["addresses"]))
                peer.on_packet = self._reader(peer, number, pictures)
                await self._signalling.subscribe(peer, session, other, receiver=participant)
                await peer.connected()
                self.peers.append(peer)

    def _reader(self, peer: WirePeer, number: int, pictures: bool) -> Callable[[bytes], None]:
        log = self.log
        assembler, decoder = Vp8Assembler(), PictureDecoder("vp8")

        def read(data: bytes) -> None:
            now = time.monotonic()
            video = data[1] & 0x7F == peer.video_pt
            if pictures and video:
                self._picture(data, now, number, assembler, decoder)
            if log.on:
                at = 12 if not data[0] & 0x10 else 16 + 4 * int.from_bytes(data[14:16], "big")
                log.streams.append(number)
                log.hashes.append(payload_hash(data[at:], video))
                log.times.append(now)

        return read

    def _picture(
        self, data: bytes, now: float, number: int, assembler: Vp8Assembler, decoder: PictureDecoder
    ) -> None:
        try:
            packet = parse_rtp(data)
        except PeerError:
            return
        frame = assembler.push(
            packet.payload, sequence=packet.sequence, timestamp=packet.timestamp, marker=packet.marker
        )
        picture = decoder.decode(frame) if frame is not None else None
        if picture is None or not self.log.on:
            return
        shown = read_number(np.array(picture.to_ndarray(format="gray"), np.uint8))
        if shown is not None:
            self.log.frames.append((number, shown, now))

    async def run(self) -> None:
        """Measure how late this process's own loop is, the while: it adds to every delay seen."""
        while True:
            due = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            self.late_s = max(self.late_s, time.monotonic() - due) if self.log.on else 0.0


def say(message: Order) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def main() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    order: Order = json.loads(await reader.readline())
    signalling = await open_signalling(order)
    load = (Publishers if order["role"] == "publish" else Subscribers)(order, signalling)
    await load.connect()
    say({"connected": len(load.peers)})
    running: asyncio.Task[None] | None = None
    while line := await reader.readline():
        command = json.loads(line)["do"]
        if command == "start":
            running = asyncio.create_task(load.run())
        elif command == "go":
            load.log.on = True
        elif command == "stop":
            load.log.on = False
            load.log.save(Path(order["log"]))
            say({"saved": len(load.log.times), "late_ms": round(load.late_s * 1000, 1)})
        else:
            break
    if running is not None:
        running.cancel()
    for peer in load.peers:
        await peer.close()
    await signalling.close()


if __name__ == "__main__":
    uvloop.run(main())
