from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import MediaError
from guard.media.announcements import (
    FOLDER,
    SPOKEN,
    TONE,
    announcement,
    announcements,
    read_pack,
    write_pack,
)
from guard.media.tones import TONE_RATE_HZ, warning_tone


@given(st.lists(st.binary(min_size=1, max_size=1275), max_size=40))
def test_pack_keeps_every_packet(packets: list[bytes]) -> None:
    assert read_pack(write_pack(packets)) == packets


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for candidate in (data, b"OPK1" + data):
        try:
            packets = read_pack(candidate)
        except MediaError as error:
            assert error.code == "announcement_broken"
        else:
            assert write_pack(packets) == candidate


@pytest.mark.parametrize("packet", [b"", bytes(1276)])
def test_impossible_packets_are_refused(packet: bytes) -> None:
    with pytest.raises(ValueError, match="1275"):
        write_pack([packet])


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_every_language_has_an_announcement_of_sensible_length(language: str) -> None:
    packets = announcement(language)
    seconds = len(packets) * 0.02
    assert 2 < seconds < 25
    assert (seconds > 5) == (language in SPOKEN)
    # every packet says 20 ms, one frame (RFC 6716 section 3.1): CELT or hybrid or SILK configuration
    assert {packet[0] & 3 for packet in packets} == {0}


def test_language_without_words_gets_the_tone() -> None:
    assert announcement("kk") == read_pack((FOLDER / f"{TONE}.opuspack").read_bytes())


def test_site_may_bring_its_own(tmp_path: Path) -> None:
    (tmp_path / "kk.opuspack").write_bytes(write_pack([b"own"]))
    assert announcement("kk", tmp_path) == [b"own"]
    with pytest.raises(MediaError, match=r"tone\.opuspack") as caught:
        announcement("ru", tmp_path)
    assert caught.value.code == "announcement_missing"


def test_who_reads_a_language_without_words_hears_the_sites(tmp_path: Path) -> None:
    for name in ("ru", "en", TONE):
        (tmp_path / f"{name}.opuspack").write_bytes(write_pack([name.encode()]))
    assert announcements(("kk", "en"), "ru", tmp_path) == {"kk": [b"ru"], "en": [b"en"]}
    assert announcements(("kk", "en"), "kk", tmp_path) == {"kk": [TONE.encode()], "en": [b"en"]}


def test_shipped_packs_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 150_000


def test_tone_alternates_between_two_pitches_without_clicks() -> None:
    tone = warning_tone()
    assert tone.dtype == np.float32
    assert np.abs(tone).max() < 0.6
    assert np.abs(np.diff(tone)).max() < 0.2
    first = tone[: round(0.16 * TONE_RATE_HZ)]
    second = tone[round(0.22 * TONE_RATE_HZ) : round(0.38 * TONE_RATE_HZ)]
    pitches = [np.abs(np.fft.rfft(part)).argmax() / 0.16 for part in (first, second)]
    assert pitches == pytest.approx([988, 740], abs=7)
