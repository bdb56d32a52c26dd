"""One end of the socket pair between the relay process and a child, as asyncio sees it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from guard.workers.wire import Decoder, Record, WireError

HIGH_WATER_BYTES = 256 * 1024


class Link(asyncio.Protocol):
    """Sends and receives records; never buffers more than the high-water mark.

    ``write`` refuses when the other side does not keep up, so the caller keeps its
    own bounded queue and drops there, where drops are counted.
    """

    def __init__(
        self,
        on_record: Callable[[Record], None],
        on_lost: Callable[[str], None],
        on_writable: Callable[[], None],
    ) -> None:
        self._on_record = on_record
        self._on_lost = on_lost
        self._on_writable = on_writable
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._paused = False

    @property
    def writable(self) -> bool:
        """Whether the other side takes more bytes now."""
        return self._transport is not None and not self._paused

    def write(self, data: bytes) -> bool:
        """Send one or more whole records; False, and nothing sent, where there is no room."""
        if self._transport is None or self._paused:
            return False
        self._transport.write(data)
        return True

    def close(self) -> None:
        """End the connection; ``on_lost`` follows."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start of the connection (asyncio)."""
        # uvloop's transports are not subclasses of asyncio.Transport, though they do its work
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    def data_received(self, data: bytes) -> None:
        """Bytes from the other side (asyncio); unreadable ones end the connection."""
        try:
            records = self._decoder.feed(data)
        except WireError as error:
            self._on_lost(error.code)
            self.close()
            return
        for record in records:
            self._on_record(record)

    def connection_lost(self, exc: Exception | None) -> None:
        """End of the connection (asyncio)."""
        self._transport = None
        self._on_lost("closed" if exc is None else type(exc).__name__)

    def pause_writing(self) -> None:
        """The other side is behind (asyncio)."""
        self._paused = True

    def resume_writing(self) -> None:
        """The other side has caught up (asyncio)."""
        self._paused = False
        self._on_writable()


async def open_link(
    sock: socket.socket,
    *,
    on_record: Callable[[Record], None],
    on_lost: Callable[[str], None],
    on_writable: Callable[[], None],
) -> Link:
    """Return a Link over one end of a connected socket pair."""
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    _, link = await loop.create_unix_connection(lambda: Link(on_record, on_lost, on_writable), sock=sock)
    return link
