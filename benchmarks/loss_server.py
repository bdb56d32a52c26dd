"""``guard serve`` with one more reader of its tap: what the analysis side gets of every voice.

    python -m benchmarks.loss_server RESULT.json

The reader stands beside the real analysis process, behind the same queue, and runs the same
TrackReceiver. On SIGTERM it writes its counts.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop

from guard.app.application import Application
from guard.clock import SystemClock
from guard.codec.receive import TrackReceiver
from guard.config import load_settings
from guard.log import configure
from guard.types import AudioFrame, TapPacket, TrackKey
from guard.workers.wire import Decoder


class Listener:
    """Takes the records a child process would; keeps one receiver per voice."""

    writable = True

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._receivers: dict[TrackKey, TrackReceiver] = {}
        self._seconds: dict[TrackKey, dict[str, float]] = {}

    def write(self, data: bytes) -> bool:
        for record in self._decoder.feed(data):
            if isinstance(record, TapPacket):
                receiver = self._receivers.setdefault(record.key, TrackReceiver(record.key, record.codec))
                self._count(record.key, [f for f in receiver.push(record) if isinstance(f, AudioFrame)])
        return True

    def _count(self, key: TrackKey, frames: list[AudioFrame]) -> None:
        seconds = self._seconds.setdefault(key, {"heard": 0.0, "concealed": 0.0, "last": 0.0})
        for frame in frames:
            length_s = len(frame.samples) / frame.rate_hz
            seconds["concealed" if frame.concealed else "heard"] += length_s
            seconds["last"] = frame.time_s + length_s

    def report(self) -> dict[str, Any]:
        for key, receiver in self._receivers.items():
            self._count(key, [f for f in receiver.flush() if isinstance(f, AudioFrame)])
        return {
            key.participant: {**self._seconds[key], **asdict(receiver.stats)}
            for key, receiver in self._receivers.items()
        }


async def main() -> dict[str, Any]:
    """Serve until SIGTERM; return what was heard."""
    settings = load_settings(None)
    configure(settings.log)
    application = Application(settings, None, SystemClock())
    listener = Listener()
    application.pump.add(listener, lambda packet: packet.codec == "opus")  # type: ignore[arg-type]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await application.start()
    sys.stdout.write(application.url + "\n")
    sys.stdout.flush()
    await stop.wait()
    application.pump.close()
    stats = application.relay.stats()
    document = {"voices": listener.report(), "tap_dropped": application.pump.dropped, "relay": asdict(stats)}
    await application.stop()
    return document


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(uvloop.run(main())))
