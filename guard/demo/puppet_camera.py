"""The camera of a rendered person: draws and encodes in a thread of its own while a call runs."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from guard.clock import Clock
from guard.codec.encode import VideoEncoder
from guard.demo.puppet import Puppet
from guard.demo.puppet_actor import Performer
from guard.media.banner import rgb_to_yuv420
from guard.media.clip import EncodedPacket
from guard.media.live import LiveSource
from guard.types import ImageArray

FPS = 15
# the encoder's rate control thinks in 30 pictures a second
BIT_RATE = 1_400_000
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class _Seen:
    message: Mapping[str, Any]
    arrival_s: float


class PuppetCamera:
    """Puts a performer's pictures into a LiveSource, ``FPS`` a second.

    The performer is told what its page shows and nothing else. It lives in the camera's thread.

    Args:
        puppet: draws; not used by anybody else meanwhile.
        performer: says what is drawn.
        source: takes the encoded pictures, in the event loop that called ``start``.
        clock: of the call.
        media_time_s: media time that plays now; nothing is drawn while it is 0.
    """

    def __init__(
        self,
        puppet: Puppet,
        performer: Performer,
        source: LiveSource,
        *,
        clock: Clock,
        media_time_s: Callable[[], float],
    ) -> None:
        self._puppet, self._performer, self._source = puppet, performer, source
        self._clock, self._media_time_s = clock, media_time_s
        self._seen: queue.SimpleQueue[_Seen] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: Exception | None = None
        self._last: ImageArray | None = None
        self.drawn = 0

    def start(self) -> None:
        """Begin; call it in the event loop that sends."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="puppet-camera", daemon=True)
        self._thread.start()

    def show(self, message: Mapping[str, Any], arrival_s: float) -> None:
        """Put a message on the performer's screen; it came at monotonic ``arrival_s``."""
        self._seen.put(_Seen(message, arrival_s))

    async def stop(self) -> None:
        """End the thread.

        Raises:
            Exception: what drawing or encoding failed with.
        """
        self._stopped.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _STOP_S)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        height, width = self._puppet.frame().shape[:2]
        encoder = VideoEncoder("vp8", width, height, bit_rate=BIT_RATE)
        due_s = self._clock.now()
        try:
            while not self._stopped.wait(max(due_s - self._clock.now(), 0.0)):
                # a picture that came late is not made up for
                due_s = max(due_s + 1 / FPS, self._clock.now())
                self._picture(encoder)
        except Exception as error:  # it is told to whoever stops the camera
            self._failure = error

    def _picture(self, encoder: VideoEncoder) -> None:
        now, time_s = self._clock.now(), self._media_time_s()
        while not self._seen.empty():
            seen = self._seen.get_nowait()
            self._performer.take(seen.message, seen.arrival_s)
        if time_s <= 0:
            return
        pose = self._performer.pose(now)
        if self._last is None or not self._performer.frozen(now):
            self._last = self._puppet.frame(pose)
        picture = rgb_to_yuv420(self._last)
        data, keyframe = encoder.encode(picture, keyframe=self._source.keyframe_wanted())
        if data and self._loop is not None:
            self.drawn += 1
            self._loop.call_soon_threadsafe(self._source.offer, EncodedPacket(time_s, data, keyframe))
