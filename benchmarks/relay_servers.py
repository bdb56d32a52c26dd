"""The relay processes the benchmark measures: guard's relay (tap off or on), and stock aiortc MediaRelay.

    python -m benchmarks.relay_servers guard|guard_tap|aiortc CONTROL_SOCKET

Nothing else runs in them. With the tap on, a child process reads what the relay process writes to it,
over the same pump and records as ``guard serve`` uses, and throws it away.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any, Protocol

import uvloop
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

from guard.app.tap_pump import TapPump
from guard.clock import SystemClock
from guard.relay.client_media import bind_addresses
from guard.relay.config import RelayConfig
from guard.relay.relay import Relay
from guard.workers.link import Link, open_link

LOOPBACK = ("127.0.0.1",)
TAP_PACKETS = 8192
Request = dict[str, str]


class Server(Protocol):
    """What answers offers."""

    async def answer(self, request: Request) -> str:
        """Return the SDP answer."""


class GuardServer:
    """guard's relay."""

    def __init__(self, pump: TapPump, tapped: bool) -> None:
        self._tapped = tapped
        self._numbers = 0
        self._relay = Relay(
            RelayConfig(addresses=LOOPBACK, max_peers=2000),
            clock=SystemClock(),
            tap=pump.tap,
            on_event=lambda _: None,
        )

    async def answer(self, request: Request) -> str:
        self._numbers += 1
        session, participant = request["session"], request["participant"]
        publish = request["do"] == "publish"
        if publish and self._tapped:
            self._relay.tap_participant(session, participant)
        wanted = {} if publish else {"0": request["other"], "1": request["other"]}
        return await self._relay.negotiate(
            f"peer{self._numbers}",
            session=session,
            participant=participant,
            sdp=request["sdp"],
            publish=publish,
            subscriptions=wanted,
        )


class AiortcServer:
    """aiortc's MediaRelay as its examples use it: every track is decoded, and encoded for each receiver."""

    def __init__(self) -> None:
        self._relay = MediaRelay()
        self._connections: list[RTCPeerConnection] = []
        self._tracks: dict[tuple[str, str], list[Any]] = {}

    async def answer(self, request: Request) -> str:
        # iceServers as in guard: aiortc would ask a public STUN server otherwise
        connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._connections.append(connection)
        if request["do"] == "publish":
            tracks = self._tracks.setdefault((request["session"], request["participant"]), [])
            connection.on("track", tracks.append)
        else:
            for track in self._tracks[request["session"], request["other"]]:
                connection.addTrack(self._relay.subscribe(track))
        await connection.setRemoteDescription(RTCSessionDescription(request["sdp"], "offer"))
        answer = await connection.createAnswer()
        bind_addresses(connection, LOOPBACK)
        await connection.setLocalDescription(answer)
        return connection.localDescription.sdp


class _Reader:
    """Stands for a worker: a child process that reads the tap and drops it."""

    def __init__(self) -> None:
        self.link: Link | None = None

    async def start(self, pump: TapPump) -> None:
        ours, theirs = socket.socketpair()
        code = "import socket,sys\ns=socket.socket(fileno=int(sys.argv[1]))\nwhile s.recv(1<<18): pass"
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, str(theirs.fileno()), pass_fds=(theirs.fileno(),)
        )
        theirs.close()
        self.link = await open_link(
            ours, on_record=lambda _: None, on_lost=lambda _: None, on_writable=pump.resume
        )

    @property
    def writable(self) -> bool:
        return self.link is not None and self.link.writable

    def write(self, data: bytes) -> bool:
        return self.link is not None and self.link.write(data)


async def serve(server: Server, path: str) -> None:
    """Answer requests until stdin ends."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            answer = await server.answer(json.loads(line))
            writer.write(json.dumps({"answer": answer}).encode() + b"\n")
        writer.close()

    await asyncio.start_unix_server(handle, path, limit=1 << 20)
    ended = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await ended.read()


async def main(system: str, path: str) -> None:
    server: Server
    if system == "aiortc":
        server = AiortcServer()
    else:
        pump = TapPump(TAP_PACKETS)
        if system == "guard_tap":
            reader = _Reader()
            await reader.start(pump)
            pump.add(reader, lambda _: True)  # type: ignore[arg-type]
        server = GuardServer(pump, system == "guard_tap")
    await serve(server, path)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2]))
