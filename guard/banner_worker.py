"""The banner process: packets of suspects' video in, pictures with the warning out.

``guard worker banner`` runs ``run_banner_worker`` on its end of the socket pair. Messages
from the relay process, all with ``session`` and ``participant``: ``banner_start`` (with
``title``, ``advice``, ``state``; again to change the words), ``banner_stop``, and
``banner_keyframe`` (a recipient needs one). Besides them come the tap packets of those
video tracks. Back go EncodedPicture records, ``keyframe`` (the source must send one) and
``heartbeat`` messages.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from guard.clock import Clock
from guard.codec.banner import BannerConfig, BannerEncoder
from guard.errors import MediaError
from guard.media.banner import BannerText
from guard.types import Kind, State, TapPacket, TrackKey
from guard.workers.link import Link, open_link
from guard.workers.wire import EncodedPicture, Message, Record, encode_message, encode_picture

HEARTBEAT_S = 0.3
KEYFRAME_EVERY_S = 1.0
BEHIND_S = 0.3


class BannerWorker:
    """All banners of one process; no socket of its own.

    Args:
        send: takes one record for the relay process; False where it has no room.
        clock: tells how far behind the work is.
        config: see BannerConfig.
    """

    def __init__(
        self, send: Callable[[bytes], bool], clock: Clock, config: BannerConfig | None = None
    ) -> None:
        self._send = send
        self._clock = clock
        self._config = config or BannerConfig()
        self._texts: dict[TrackKey, BannerText] = {}
        self._encoders: dict[TrackKey, BannerEncoder] = {}
        self._asked: dict[TrackKey, float] = {}
        self.dropped = 0

    def receive(self, record: Record) -> None:
        """Take one record from the relay process."""
        if isinstance(record, TapPacket):
            self._packet(record)
        elif isinstance(record, dict):
            self._message(record)

    def heartbeat(self) -> Message:
        """Return what the relay process is told of this one."""
        counts = [encoder.counts for encoder in self._encoders.values()]
        return {
            "type": "heartbeat",
            "banners": len(self._texts),
            "encoded": sum(c.encoded for c in counts),
            "skipped": sum(c.skipped for c in counts),
            "dropped": self.dropped,
        }

    def _message(self, message: Message) -> None:
        key = TrackKey(str(message.get("session")), str(message.get("participant")), Kind.VIDEO)
        match message.get("type"):
            case "banner_start":
                self._start(key, message)
            case "banner_stop":
                for table in (self._texts, self._encoders, self._asked):
                    table.pop(key, None)
            case "banner_keyframe" if key in self._encoders:
                self._encoders[key].request_keyframe()

    def _start(self, key: TrackKey, message: Message) -> None:
        text = BannerText(str(message["title"]), str(message["advice"]), State(message["state"]))
        self._texts[key] = text
        if key in self._encoders:
            self._encoders[key].change_text(text)
            self._encoders[key].request_keyframe()
        else:
            self._ask_keyframe(key)

    def _packet(self, packet: TapPacket) -> None:
        key = packet.key
        if key not in self._texts:
            return
        encoder = self._encoders.get(key)
        if encoder is None:
            try:
                encoder = BannerEncoder(packet.codec, self._texts[key], self._config)
            except MediaError:
                return  # audio of the same participant, or a codec no banner can be drawn into
            self._encoders[key] = encoder
        now = self._clock.now()
        for frame in encoder.push(packet, behind=now - packet.arrival_s > BEHIND_S):
            record = encode_picture(EncodedPicture(key, frame.timestamp, frame.keyframe, frame.data))
            if not self._send(record):
                # what follows leans on the lost picture
                self.dropped += 1
                encoder.request_keyframe()
        if encoder.wants_keyframe:
            self._ask_keyframe(key)

    def _ask_keyframe(self, key: TrackKey) -> None:
        now = self._clock.now()
        if now - self._asked.get(key, float("-inf")) < KEYFRAME_EVERY_S:
            return
        self._asked[key] = now
        self._send(
            encode_message({"type": "keyframe", "session": key.session, "participant": key.participant})
        )


async def run_banner_worker(sock: socket.socket, clock: Clock, config: BannerConfig | None = None) -> None:
    """Serve one end of a connected socket pair until the relay process closes the other."""
    ended = asyncio.Event()
    link: Link | None = None

    def send(data: bytes) -> bool:
        return link is not None and link.write(data)

    worker = BannerWorker(send, clock, config)
    link = await open_link(
        sock, on_record=worker.receive, on_lost=lambda _: ended.set(), on_writable=lambda: None
    )
    while not ended.is_set():
        send(encode_message(worker.heartbeat()))
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                await ended.wait()
        except TimeoutError:
            continue
    link.close()
