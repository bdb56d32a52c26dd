"""A publisher, the relay's core and a subscriber over a seeded lossy network, in virtual time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from itertools import count

import pytest

from guard.media.rtp import RtpPacket, Unwrapper, parse_rtp, unwrap_rtx, wrap_rtx
from guard.relay import rtcp
from guard.relay.codecs import Codec
from guard.relay.output import Output, OutputStream
from guard.relay.publication import Publication
from guard.relay.receive import MissingPackets
from guard.types import Kind, TrackKey

MEDIA, RTX = 5, 6
CODEC = Codec("vp8", 96, 97, nack=True)
STREAM = OutputStream("v", Kind.VIDEO, MEDIA, RTX, {"vp8": CODEC}, {})


class Network:
    """Delivers after 20 to 40 ms, out of order if it so happens, and loses at random."""

    def __init__(self, seed: int, loss_ratio: float) -> None:
        self.now = 0.0
        self._random = random.Random(seed)
        self._loss_ratio = loss_ratio
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def carry(self, arrive: Callable[[], None]) -> None:
        if self._random.random() >= self._loss_ratio:
            self.at(self.now + self._random.uniform(0.02, 0.04), arrive)

    def at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._order), act))

    def run(self) -> None:
        while self._queue:
            self.now, _, act = heapq.heappop(self._queue)
            act()


class Call:
    """One video stream: publisher -> relay -> subscriber, every hop lossy both ways."""

    def __init__(self, seed: int, loss_ratio: float, *, packets: int, first_sequence: int) -> None:
        self.network = Network(seed, loss_ratio)
        self.publication = Publication(TrackKey("s", "a", Kind.VIDEO), "1", CODEC, extensions={}, rtcp_ssrc=9)
        self.output = Output("b", STREAM, self._downlink)
        self.output.attach("vp8", {})
        self.publication.outputs = [self.output]
        self.got: dict[int, float] = {}
        self.sent_at: dict[int, float] = {}
        self._sent: dict[int, RtpPacket] = {}
        self._sequences = Unwrapper(16)
        self._missing = MissingPackets()
        self._rtx = 0
        for i in range(packets):
            self.network.at(i / 60, lambda i=i: self._publish(first_sequence + i, i))  # type: ignore[misc]
        for tick in range(int((packets / 60 + 2) * 50)):
            self.network.at(tick / 50, self._tick)
        self.network.run()

    def _publish(self, sequence: int, index: int) -> None:
        payload = bytes((0x10, int(index > 30))) + index.to_bytes(4, "big")
        packet = RtpPacket(96, True, sequence & 0xFFFF, sequence * 1500 & 0xFFFFFFFF, 1, payload=payload)
        self._sent[packet.sequence] = packet
        self.sent_at[index] = self.network.now
        self.network.carry(lambda: self._uplink(packet))

    def _uplink(self, packet: RtpPacket) -> None:
        fresh = self.publication.receive(packet, self.network.now)
        if fresh is not None:
            self.output.write(fresh, self.network.now)

    def _downlink(self, data: bytes) -> None:
        self.network.carry(lambda: self._receive(parse_rtp(data)))

    def _receive(self, packet: RtpPacket) -> None:
        original = packet if packet.ssrc == MEDIA else unwrap_rtx(packet, payload_type=96, ssrc=MEDIA)
        assert original is not None
        if self._missing.push(self._sequences.push(original.sequence), self.network.now):
            self.got[int.from_bytes(original.payload[2:6], "big")] = self.network.now

    def _tick(self) -> None:
        for data in self.publication.poll(self.network.now):
            self.network.carry(lambda data=data: self._feedback(data))  # type: ignore[misc]
        asked = self._missing.due(self.network.now)
        if asked:
            self.network.carry(lambda: self.output.on_nack([s & 0xFFFF for s in asked], self.network.now))

    def _feedback(self, data: bytes) -> None:
        for packet in rtcp.parse_rtcp(data):
            if isinstance(packet, rtcp.Nack):
                for sequence in packet.sequences:
                    self._rtx += 1
                    again = wrap_rtx(
                        self._sent[sequence], payload_type=97, sequence=self._rtx & 0xFFFF, ssrc=2
                    )
                    self.network.carry(lambda again=again: self._uplink(again))  # type: ignore[misc]

    def delivered_ratio(self, within_s: float) -> float:
        """Of the packets since the first that arrived, how many came in time."""
        due = [i for i in self.sent_at if i >= min(self.got)]
        return sum(self.got.get(i, 1e9) - self.sent_at[i] <= within_s for i in due) / len(due)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("first_sequence", [0, 65000])
def test_five_percent_loss_on_every_hop_is_repaired(seed: int, first_sequence: int) -> None:
    call = Call(seed, 0.05, packets=1800, first_sequence=first_sequence)
    assert call.delivered_ratio(0.4) > 0.97
    assert call.delivered_ratio(2.0) > 0.999
    assert call.publication.packets_lost == 0


def test_without_loss_nothing_is_asked_for_again_in_vain() -> None:
    call = Call(7, 0.0, packets=600, first_sequence=65400)
    assert call.delivered_ratio(0.1) == 1.0
    assert call.output.counters.retransmitted <= 600 * 0.02


def test_thirty_percent_loss_is_still_mostly_repaired() -> None:
    call = Call(11, 0.3, packets=900, first_sequence=100)
    assert call.delivered_ratio(2.0) > 0.95
    assert call.publication.counters["nacks_sent"] > 100
