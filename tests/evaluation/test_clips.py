"""Manifests and clips: what is refused, what is joined and cut."""

from __future__ import annotations

import csv
import struct
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from guard.codec.files import read_file
from guard.errors import ConfigError
from guard.evaluation.clips import (
    Clip,
    Item,
    joined,
    read_clip,
    read_clips,
    read_manifest,
    read_manifests,
    speech_ends_s,
    with_speech,
)
from guard.evaluation.conditions import full
from guard.evaluation.progress import say_failure
from guard.resources import clips_dir
from guard.types import AudioFrame, FloatArray

RATE = 16_000


def manifest(folder: Path, rows: list[dict[str, str]]) -> Path:
    folder.mkdir(exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def row(path: str, label: str = "bonafide", **more: str) -> dict[str, str]:
    return {"path": path, "label": label, "source": "site", "system": "", **more}


@pytest.fixture(scope="module")
def speech() -> FloatArray:
    frames = [
        f for f in read_file(clips_dir() / "voices" / "customer_genuine.opus") if isinstance(f, AudioFrame)
    ]
    samples = np.concatenate([f.samples for f in frames])
    assert frames[0].rate_hz == 48_000
    return samples[: 3 * 12 * RATE : 3].copy()  # 12 s, alias and all: enough for a VAD


@pytest.mark.parametrize(
    "path", ["../a.wav", "/etc/a.wav", "b/../../a.wav", "C:\\a.wav", "..\\a.wav", " ", "a\0.wav"]
)
def test_path_that_leaves_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match=r"manifest\.csv") as error:
        read_manifest(manifest(tmp_path, [row(path)]))
    assert error.value.code == "clip_outside"


def test_paths_in_folders_below_are_taken(tmp_path: Path) -> None:
    (item,) = read_manifest(manifest(tmp_path, [row("a/b..c.wav")]))
    assert item.path == tmp_path / "a" / "b..c.wav"


def test_clip_listed_twice_is_refused_also_across_folders(tmp_path: Path) -> None:
    inner = manifest(tmp_path / "in", [row("a.wav"), row("b.wav", "spoof")])
    outer = manifest(tmp_path, [row("in/a.wav")])
    with pytest.raises(ConfigError, match=r"a\.wav is listed twice") as error:
        read_manifests([inner, outer])
    assert error.value.code == "clip_repeated"


def test_a_link_to_itself_is_a_clip_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.wav").symlink_to("a.wav")
    items = read_manifests([manifest(tmp_path, [row("a.wav"), row("b.wav", "spoof")])])
    clips, errors = read_clips(items)
    assert not clips
    assert [Path(error["path"]).name for error in errors] == ["a.wav", "b.wav"]


def test_a_byte_order_mark_before_the_columns_is_no_part_of_them(tmp_path: Path) -> None:
    folder = manifest(tmp_path, [row("a.wav")])
    file = folder / "manifest.csv"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert [item.path.name for item in read_manifest(folder)] == ["a.wav"]


@pytest.mark.parametrize(("label", "missing"), [("bonafide", "spoof"), ("spoof", "bona fide")])
def test_one_class_alone_is_refused_and_the_other_named(tmp_path: Path, label: str, missing: str) -> None:
    with pytest.raises(ConfigError, match=f"no readable {missing} clip") as error:
        read_manifests([manifest(tmp_path, [row("a.wav", label)])])
    assert error.value.code == "eval_classes"


def test_units_are_engines_of_spoof_and_speakers_or_sources_of_genuine_clips(tmp_path: Path) -> None:
    rows = [
        row("a.wav", speaker="anna", language="kk"),
        row("b.wav", speaker="", language=""),
        row("c.wav", "fake", system="VITS", speaker="anna", language="ru"),
        row("d.wav", "fake", system="", speaker="", language="ru"),
    ]
    items = read_manifest(manifest(tmp_path, rows))
    assert [item.unit for item in items] == ["anna", "site", "VITS", "site"]
    assert [item.language for item in items] == ["kk", "unknown", "ru", "ru"]
    assert read_manifest(manifest(tmp_path, [row("a.wav", lang="kk")]))[0].language == "kk"
    assert read_manifest(manifest(tmp_path, [row("a.wav")]))[0].language == "unknown"


def float_wav(samples: FloatArray) -> bytes:
    data = samples.astype("<f4").tobytes()
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, RATE, 4 * RATE, 4, 32)
    body = b"WAVE" + head + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_clips_that_cannot_be_measured_are_named_with_the_reason(tmp_path: Path) -> None:
    good = np.full(2 * RATE, 0.1, np.float32)
    bad = good.copy()
    bad[5] = np.nan
    (tmp_path / "good.wav").write_bytes(float_wav(good))
    (tmp_path / "nan.wav").write_bytes(float_wav(bad))
    (tmp_path / "cut.wav").write_bytes(float_wav(good)[: 4 * RATE])
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    names = {
        "nan.wav": "samples_not_finite",
        "cut.wav": "clip_damaged",
        "broken.wav": "file_unreadable",
        "none.wav": "file_not_found",
    }
    clips, errors = read_clips([Item(tmp_path / name, False, "n", "n") for name in ("good.wav", *names)])
    assert [clip.item.path.name for clip in clips] == ["good.wav"]
    assert [error["code"] for error in errors] == list(names.values())
    assert all(error["path"] in error["message"] for error in errors)


def aac(path: Path, rate_hz: int, samples: FloatArray) -> bytes:
    """Return the samples as AAC frames (ADTS), which may stand one file behind the other."""
    with av.open(str(path), "w", format="adts") as out:
        stream = out.add_stream("aac", rate=rate_hz, layout="mono")
        for start in range(0, len(samples) - 1023, 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], "fltp", "mono")
            frame.sample_rate = rate_hz
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize("rates", [(44_100, 16_000), (16_000, 44_100)])
def test_a_clip_whose_rate_changes_is_not_measured(tmp_path: Path, rates: tuple[int, int]) -> None:
    tone = 0.3 * np.sin(np.arange(3 * 16_384) / 5).astype(np.float32)
    both = b"".join(aac(tmp_path / "part.aac", rate_hz, tone) for rate_hz in rates)
    (tmp_path / "both.aac").write_bytes(both)
    assert read_clips([Item(tmp_path / "part.aac", False, "n", "n")])[1] == []
    clips, (error,) = read_clips([Item(tmp_path / "both.aac", False, "n", "n")])
    assert (clips, error["code"]) == ([], "clip_rates")
    assert f"from {rates[0]} to {rates[1]}" in error["message"]


def test_a_line_that_ends_early_is_refused_by_name(tmp_path: Path) -> None:
    for line, code in (("a.wav", "manifest_invalid"), ("a.wav,real", "manifest_invalid")):
        (tmp_path / "manifest.csv").write_text(f"path,label,source\n{line}\n", encoding="utf-8")
        with pytest.raises(ConfigError) as error:
            read_manifest(tmp_path)
        assert error.value.code == code


def test_a_long_clip_is_refused_while_it_is_read(tmp_path: Path) -> None:
    """An hour of silence at 48 kHz is half a megabyte of FLAC and would take gigabytes."""
    hour = tmp_path / "hour.flac"
    minute = np.zeros((1, 48_000 * 60), np.int16)
    with av.open(str(hour), "w") as out:
        stream = out.add_stream("flac", rate=48_000, layout="mono")
        for _ in range(12):
            frame = av.AudioFrame.from_ndarray(minute, "s16", "mono")
            frame.sample_rate = 48_000
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    clips, (error,) = read_clips([Item(hour, False, "n", "n")])
    assert (clips, error["code"]) == ([], "clip_too_long")


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_a_clip_of_less_than_20_ms_is_named_and_the_rest_measured(
    tmp_path: Path, rate: int, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [
        Item(tone(tmp_path / f"{count}.wav", rate, count), False, "n", "n")
        for count in (1, rate // 50 - 1, rate // 50)
    ]
    clips, errors = read_clips(items)
    assert [clip.item.path.stem for clip in clips] == [str(rate // 50)]
    assert [error["code"] for error in errors] == ["clip_too_short", "clip_too_short"]
    say_failure(errors[0])
    assert capsys.readouterr().err.count(str(items[0].path)) == 1


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_the_shortest_clip_goes_through_every_condition(tmp_path: Path, rate: int) -> None:
    clip = read_clip(Item(tone(tmp_path / "short.wav", rate, rate // 50), False, "n", "n"))
    for condition in full([np.ones(RATE, np.float32)]):
        frames = condition.channel(clip.samples, clip.rate_hz, "short.wav")
        assert all(np.isfinite(frame.samples).all() for frame in frames)


def test_a_message_without_its_path_gets_it(capsys: pytest.CaptureFixture[str]) -> None:
    say_failure({"path": "a.wav", "code": "x", "message": "too long"})
    assert capsys.readouterr().err == "a.wav: too long [x]\n"


def tone(path: Path, rate: int, count: int) -> Path:
    """Write ``count`` samples of a tone."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((8000 * np.sin(np.arange(count) + 1.0)).astype("<i2").tobytes())
    return path


def test_cut_clip_holds_the_speech_asked_for(speech: FloatArray) -> None:
    whole = Clip(Item(Path("a"), False, "n", "n"), speech, RATE, speech_ends_s(speech, RATE).size / 50)
    assert whole.speech_s > 4
    for seconds in (1.0, 2.0, 4.0):
        (cut,) = with_speech([whole], seconds)
        assert speech_ends_s(cut.samples, RATE).size / 50 == pytest.approx(seconds, abs=0.041)
        np.testing.assert_array_equal(cut.samples, speech[: len(cut.samples)])


def test_only_clips_of_one_voice_and_system_are_joined(speech: FloatArray) -> None:
    def clip(name: str, voice: str, system: str) -> Clip:
        part = speech[: 5 * RATE]
        return Clip(
            Item(Path(name), False, system, voice, voice=voice),
            part,
            RATE,
            speech_ends_s(part, RATE).size / 50,
        )

    one = clip("a", "v", "n")
    long = 1.5 * one.speech_s
    assert with_speech([one, clip("b", "w", "n"), clip("c", "v", "m")], long) == []
    (made,) = with_speech([one, clip("b", "w", "n"), clip("c", "v", "n")], long)
    assert made.item is one.item
    assert len(made.samples) > len(one.samples)
    assert len(with_speech([one] * 4, long)) == 2


def test_joined_parts_keep_their_length_and_take_the_first_ones_level() -> None:
    t = np.arange(RATE) / RATE
    loud = (0.4 * np.sin(2 * np.pi * 200 * t)).astype(np.float32)
    whole = joined([loud, 0.1 * loud], RATE)
    assert len(whole) == 2 * RATE
    assert np.std(whole[RATE:]) == pytest.approx(np.std(loud), rel=0.02)
    assert whole[RATE - 1] == whole[RATE] == 0


def test_rate_of_a_file_is_kept(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"\0\1" * 8000)
    (clip,), errors = read_clips([Item(tmp_path / "a.wav", False, "n", "n")])
    assert (clip.rate_hz, len(clip.samples), errors) == (8000, 8000, [])
