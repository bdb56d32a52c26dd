"""Banners and announcements that cannot be made say why; a banner that goes off the screens is told of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from guard.app.injection import Injection, banner_key
from guard.app.reach import NOT_CONNECTED
from guard.clock import ManualClock
from guard.policy.texts import load_texts
from guard.relay.relay import Relay
from guard.types import Alert, State, TrackKey
from guard.workers.supervisor import WorkerConfig


@dataclass(eq=False)
class Output:
    participant: str
    newest_timestamp: int = 0
    source_muted: bool = False


class Codecs:
    """What is asked of the relay before a picture comes: what a track is sent as, and to whom."""

    def __init__(self, codec: str | None) -> None:
        self.codec_now = codec
        self.watching = [Output("agent"), Output("chief")]

    def outputs(self, key: TrackKey) -> list[Output]:
        return self.watching

    def codec(self, key: TrackKey) -> str | None:
        return self.codec_now


def made(codec: str | None) -> tuple[Injection, list[tuple[str, str]]]:
    lost: list[tuple[str, str]] = []
    injection = Injection(
        cast(Relay, Codecs(codec)),
        ManualClock(),
        texts=load_texts(),
        language="en",
        announcement=[b"\xf8"],
        config=WorkerConfig(),
        lost=lambda alert, recipient: lost.append((alert.id, recipient)),
        on_writable=lambda: None,
    )
    return injection, lost


def alert(**more: Any) -> Alert:
    return Alert("a1", "s", "cust", State.SPOOF, 5.0, (), {}, "at", "until", **more)


async def test_without_picture_or_voice_there_is_nothing_to_warn_over() -> None:
    injection, _ = made(None)
    assert injection.start_banner(alert(), "agent") == "no_video"
    assert injection.start_announcement(alert(), "agent") == "no_audio"


async def test_a_banner_whose_process_is_down_says_so_and_waits_for_it() -> None:
    injection, _ = made("vp8")
    assert not injection.worker.up
    assert injection.start_banner(alert(), "agent") == "process_down"


async def test_who_is_invited_and_not_in_the_call_is_not_reached() -> None:
    injection, _ = made("vp8")
    assert injection.start_banner(alert(), "late") == NOT_CONNECTED
    assert injection.start_announcement(alert(), "late") == NOT_CONNECTED
    assert injection.start_announcement(alert(), "agent") is None


async def test_banners_on_screens_when_the_process_dies_are_lost_and_no_others() -> None:
    injection, lost = made("vp8")
    for recipient in ("agent", "chief"):
        injection.start_banner(alert(), recipient)
    injection.stop_banner(alert(), "chief")
    injection._worker_down("killed")
    assert lost == [("a1", "agent")]


@pytest.mark.parametrize(("drill", "key"), [(False, "banner.spoof"), (True, "banner.drill_spoof")])
def test_the_banner_of_a_drill_has_words_of_its_own(drill: bool, key: str) -> None:
    assert banner_key(alert(drill=drill)) == key
