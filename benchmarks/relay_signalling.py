"""How a load process tells a relay who publishes and who receives whom: guard and aiortc, or Janus."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.wire_peer import WirePeer


class Signalling(Protocol):
    """One connection to a relay's control."""

    async def publish(self, session: str, participant: str, offer: str) -> str:
        """Return the answer to a publisher's offer."""

    async def subscribe(self, peer: WirePeer, session: str, other: str, *, receiver: str) -> None:
        """Negotiate that ``peer`` receives ``other``."""

    async def close(self) -> None:
        """End the connection."""


async def open_signalling(order: dict[str, Any]) -> Signalling:
    """Return the control connection the order asks for."""
    if order["system"] == "janus":
        return JanusSignalling(
            await connect(order["control"], subprotocols=["janus-protocol"], max_size=None)  # type: ignore[list-item]
        )
    return LineSignalling(*await asyncio.open_unix_connection(order["control"], limit=1 << 20))


class LineSignalling:
    """JSON lines over a socket, as ``relay_servers.py`` speaks them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def _ask(self, **request: str) -> str:
        self._writer.write(json.dumps(request).encode() + b"\n")
        return str(json.loads(await self._reader.readline())["answer"])

    async def publish(self, session: str, participant: str, offer: str) -> str:
        return await self._ask(do="publish", session=session, participant=participant, sdp=offer)

    async def subscribe(self, peer: WirePeer, session: str, other: str, *, receiver: str) -> None:
        offer = await peer.offer()
        answer = await self._ask(
            do="subscribe", session=session, participant=receiver, other=other, sdp=offer
        )
        await peer.take_answer(answer)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


class JanusSignalling:
    """The VideoRoom plugin over Janus's WebSocket API: one handle for every connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._janus: int | None = None
        self._rooms: dict[str, int] = {}
        self._alive = asyncio.ensure_future(self._keep_alive())

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(20)
            if self._janus is not None:
                await self._send(janus="keepalive", session_id=self._janus)

    async def _send(self, **message: Any) -> str:
        transaction = str(next(self._numbers))
        await self._socket.send(json.dumps({**message, "transaction": transaction}))
        return transaction

    async def _ask(self, wanted: str, **message: Any) -> dict[str, Any]:
        """Send a request and return the reply of the wanted kind to it."""
        transaction = await self._send(**message)
        async with asyncio.timeout(20):
            while True:
                reply: dict[str, Any] = json.loads(await self._socket.recv())
                if reply.get("transaction") != transaction or reply["janus"] == "ack":
                    continue
                data = reply.get("plugindata", {}).get("data", {})
                if reply["janus"] != wanted or "error" in data:
                    raise ConnectionError(f"Janus: {reply}")
                return reply

    async def _handle(self) -> dict[str, int]:
        if self._janus is None:
            self._janus = (await self._ask("success", janus="create"))["data"]["id"]
        attached = await self._ask(
            "success", janus="attach", session_id=self._janus, plugin="janus.plugin.videoroom"
        )
        return {"session_id": self._janus, "handle_id": attached["data"]["id"]}

    async def publish(self, session: str, participant: str, offer: str) -> str:
        handle = await self._handle()
        room, feed = room_and_feed(session, participant)
        if participant.endswith("0"):
            body = {"request": "create", "room": room, "publishers": 50, "bitrate": 0, "audiocodec": "opus"}
            await self._ask("success", janus="message", **handle, body={**body, "videocodec": "vp8"})
        join = {"request": "joinandconfigure", "room": room, "ptype": "publisher", "id": feed}
        jsep = {"type": "offer", "sdp": offer}
        reply = await self._ask("event", janus="message", **handle, body=join, jsep=jsep)
        return str(reply["jsep"]["sdp"])

    async def subscribe(self, peer: WirePeer, session: str, other: str, *, receiver: str) -> None:
        del receiver  # Janus's receivers are nobody
        handle = await self._handle()
        room, feed = room_and_feed(session, other)
        join = {"request": "join", "room": room, "ptype": "subscriber", "streams": [{"feed": feed}]}
        reply = await self._ask("event", janus="message", **handle, body=join)
        jsep = {"type": "answer", "sdp": await peer.answer(reply["jsep"]["sdp"])}
        await self._ask("event", janus="message", **handle, body={"request": "start"}, jsep=jsep)

    async def close(self) -> None:
        self._alive.cancel()
        await self._socket.close()


def room_and_feed(session: str, participant: str) -> tuple[int, int]:
    """Return Janus's numbers for ``call3`` and ``p0``."""
    room = 1000 + int(session.removeprefix("call"))
    return room, room * 100 + int(participant.removeprefix("p")) + 1
