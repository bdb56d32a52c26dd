"""Banners and announcements that cannot be made say why; a banner that goes off the screens is told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from guard.alert import Alert
from guard.app.injection import Injection, banner_key
from guard.app.reach import NOT_CONNECTED
from guard.clock import ManualClock
from guard.policy.texts import load_texts
from guard.relay.relay import Relay
from guard.types import Kind, State, TrackKey
from guard.workers.supervisor import WorkerConfig

VIDEO = TrackKey("s", "cust", Kind.VIDEO)


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


@dataclass
class Heard:
    """The banner process: what it is told to write."""

    titles: list[str] = field(default_factory=list)

    def send(self, message: Mapping[str, Any]) -> bool:
        if message["type"] == "banner_start":
            self.titles.append(message["title"])
        return True


def made(
    codec: str | None, reads: Mapping[str, str | None] | None = None
) -> tuple[Injection, list[tuple[str, str]]]:
    lost: list[tuple[str, str]] = []
    injection = Injection(
        cast(Relay, Codecs(codec)),
        ManualClock(),
        texts=load_texts(),
        language="en",
        reads=lambda session, participant: (reads or {}).get(participant),
        announcements={"kk": [b"\xf8k"], "ru": [b"\xf8r"], "en": [b"\xf8e"]},
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


async def test_a_banner_asked_for_the_one_it_warns_of_is_refused_before_anything_is_noted() -> None:
    injection, lost = made("vp8")
    heard = Heard()
    injection.worker = cast(Any, heard)
    with pytest.raises(ValueError, match="never shown to the one it warns of"):
        injection.start_banner(alert(), "cust")
    assert heard.titles == []
    injection._worker_down("killed")
    assert lost == []


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


def title(language: str) -> str:
    return load_texts().get("banner.spoof", language)


async def test_a_banner_is_in_the_language_that_all_who_watch_it_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    injection, _ = made("vp8", {"agent": "kk", "chief": "ru", "late": "ru"})
    heard = Heard()
    monkeypatch.setattr(injection.worker, "send", heard.send)
    injection.start_banner(alert(), "late")  # not in the call: nobody reads it yet
    injection.start_banner(alert(), "agent")
    injection.start_banner(alert(), "chief")
    assert heard.titles == [title("en"), title("kk"), title("en")]  # English is the site's
    injection.stop_banner(alert(), "chief")
    assert heard.titles[3:] == [title("kk")]
    injection.stop_banner(alert(), "late")
    assert len(heard.titles) == 4  # nothing to change


async def test_who_chose_no_language_has_the_sites(monkeypatch: pytest.MonkeyPatch) -> None:
    injection, _ = made("vp8", {"chief": "ru"})
    heard = Heard()
    monkeypatch.setattr(injection.worker, "send", heard.send)
    injection.start_banner(alert(), "agent")
    injection.start_banner(alert(), "chief")
    assert heard.titles == [title("en"), title("en")]


async def test_words_follow_who_comes_to_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    injection, _ = made("vp8", {"agent": "kk", "late": "ru"})
    heard = Heard()
    monkeypatch.setattr(injection.worker, "send", heard.send)
    injection.start_banner(alert(), "agent")
    injection.start_banner(alert(), "late")
    relay = cast(Codecs, injection._relay)
    relay.watching.append(Output("late"))
    injection._keep_words(VIDEO)
    assert heard.titles == [title("kk"), title("kk"), title("en")]


@pytest.mark.parametrize(("reads", "packet"), [("kk", b"\xf8k"), ("ru", b"\xf8r"), (None, b"\xf8e")])
async def test_an_announcement_is_in_the_language_of_who_hears_it(
    monkeypatch: pytest.MonkeyPatch, reads: str | None, packet: bytes
) -> None:
    played: list[Sequence[bytes]] = []

    def announcement(relay: object, key: object, packets: Sequence[bytes], *rest: object) -> None:
        played.append(packets)

    monkeypatch.setattr("guard.app.injection.Announcement", announcement)
    injection, _ = made("opus", {"agent": reads, "chief": "en"})
    assert injection.start_announcement(alert(), "agent") is None
    assert played == [[packet]]
