"""``guard analyze``: the contract, on the bundled clips and on files that are none."""

from __future__ import annotations

import errno
import json
import shutil
import wave
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from guard.app.analyze import SpeechMeter, analyze_all, analyze_file
from guard.app.file_list import expand
from guard.app.parts import Models, load_models, settings_config
from guard.app.references import MAX_REFERENCE_BYTES, expect_face, expect_voice
from guard.codec.files import read_file
from guard.config import Settings
from guard.detectors.onnx import Batch, Outputs
from guard.detectors.voice_spoof import VoiceReading, VoiceSpoof
from guard.errors import ConfigError, MediaError, ModelError
from guard.evaluation import augment
from guard.fusion.calibration import BinnedLogistic, Logistic
from guard.media.resample import Resampler
from guard.resources import clips_dir, models_dir
from guard.types import AudioFrame, FloatArray, Kind, Signal, TrackKey, VideoFrame

CLIP = str(clips_dir() / "customer_genuine.webm")
KEYS = {
    "path",
    "duration_s",
    "verdict",
    "llr",
    "voice",
    "face",
    "signals",
    "timeline",
    "models",
}


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models(models_dir())


def test_a_clip_gives_the_contracts_object_and_equal_input_equal_output(models: Models) -> None:
    first = analyze_file(CLIP, models, settings_config(Settings(), "meeting"))
    second = analyze_file(CLIP, models, settings_config(Settings(), "meeting"))
    assert json.dumps(first, allow_nan=False) == json.dumps(second, allow_nan=False)
    assert set(first) == KEYS
    assert set(first["voice"]) == {"verdict", "llr", "speech_s", "windows", "coverage"}
    assert set(first["face"]) == {"verdict", "llr", "faces", "frames", "coverage"}
    assert set(first["signals"]) == {signal.value for signal in Signal}
    assert first["path"] == CLIP
    assert 0 < first["voice"]["speech_s"] <= first["duration_s"]
    assert first["voice"]["windows"] > 0
    assert first["face"]["frames"] > 0
    times = [point["t_s"] for point in first["timeline"]]
    assert times == sorted(times)


class LoudHalves:
    """A voice model whose half seconds say spoof where they are louder than the window."""

    def run(self, batch: Batch) -> Outputs:
        rows = np.asarray(batch, np.float32)
        halves = np.sqrt(np.mean(rows.reshape(len(rows), 8, -1) ** 2, axis=2))
        louder = halves > 2.0 * np.median(halves, axis=1, keepdims=True)
        timeline = np.where(louder, np.float32(3.0), np.float32(-1.0))
        return Outputs(np.zeros(len(rows), np.float32), {"timeline": timeline})


def test_seconds_of_a_spliced_voice_show_in_the_voice_and_nowhere_else(
    models: Models, tmp_path: Path
) -> None:
    frames = read_file(clips_dir() / "voices" / "customer_genuine.opus")
    samples = np.concatenate([frame.samples for frame in frames if isinstance(frame, AudioFrame)])[
        : 12 * 48_000
    ]
    quiet = samples / np.sqrt(np.mean(samples**2)) * 0.02
    quiet[6 * 48_000 : 8 * 48_000] *= 8.0
    with wave.open(str(tmp_path / "spliced.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48_000)
        out.writeframes((np.clip(quiet, -1, 1) * 32767).astype("<i2").tobytes())
    one_second = Logistic(0.5, 0.0, 1.0)
    detector = VoiceSpoof(LoudHalves(), VoiceReading(BinnedLogistic(Logistic(1.0, 0.0, 5.0)), one_second))
    scripted = replace(models, detectors=(detector,))
    path, config = str(tmp_path / "spliced.wav"), settings_config(Settings(), "meeting")
    assert "seconds" not in analyze_file(path, scripted, config)["voice"]
    found = analyze_file(path, scripted, config, with_seconds=True)
    assert set(found) == KEYS
    llrs = {point["t_s"]: point["llr"] for point in found["voice"]["seconds"]}
    assert max(llrs.values()) <= 1.0
    assert found["voice"]["highest_2_s"]["t_s"] == 6.0
    assert found["voice"]["highest_2_s"]["llr"] == pytest.approx((llrs[6.0] + llrs[7.0]) / 2, abs=1e-3)
    assert found["voice"]["highest_2_s"]["llr"] > 0 > max(llrs[t] for t in llrs if t not in (6.0, 7.0))


def test_a_signal_without_a_model_says_so_and_gives_no_llr(models: Models) -> None:
    found = analyze_file(CLIP, models, settings_config(Settings(), "meeting"))
    assert found["signals"]["screen_light"] == {"llr": None, "coverage": 0.0, "reason": "no_model"}


def test_a_voice_only_file_has_no_face(models: Models) -> None:
    voice = str(clips_dir() / "voices" / "customer_genuine.opus")
    found = analyze_file(voice, models, settings_config(Settings(), "meeting"))
    assert found["face"] is None
    assert found["signals"]["face_frame"]["reason"] == "no_stream"


def test_an_unreadable_file_is_reported_and_the_rest_goes_on(models: Models, tmp_path: Path) -> None:
    broken = tmp_path / "a.mp4"
    broken.write_bytes(b"not a film")
    paths = [str(tmp_path / "missing.wav"), str(broken), str(clips_dir() / "voices" / "agent_genuine.opus")]
    results = list(analyze_all(paths, models, settings_config(Settings(), "meeting")))
    assert [ok for _, ok in results] == [False, False, True]
    assert [found["path"] for found, _ in results] == paths
    assert results[0][0]["error"]["code"] == "file_not_found"
    assert set(results[1][0]) == {"path", "error"}


def test_a_folder_is_walked_sorted_and_unknown_extensions_are_skipped(tmp_path: Path) -> None:
    for name in ("b.wav", "a/z.MP4", "a/notes.txt", "c.webm"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [Path(path).relative_to(tmp_path).as_posix() for path in expand([str(tmp_path)])]
    assert found == ["a/z.MP4", "b.wav", "c.webm"]


def test_an_unknown_profile_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="nosuch"):
        settings_config(Settings(), "nosuch")


def test_a_path_the_system_will_not_look_at_is_an_error_of_its_own_and_the_rest_goes_on(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "a.wav").write_bytes(b"")
    known = Path.is_file

    def is_file(path: Path) -> bool:
        if path.name == "a.wav":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return known(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    long, voice = f"{'x' * 300}.wav", str(clips_dir() / "voices" / "agent_genuine.opus")
    found = [
        line
        for line, _ in analyze_all([long, str(closed), voice], models, settings_config(Settings(), "meeting"))
    ]
    assert [line["path"] for line in found] == [long, str(closed / "a.wav"), voice]
    assert [line.get("error", {}).get("code") for line in found] == ["file_unreadable"] * 2 + [None]


def test_a_folder_without_media_is_said_and_no_path_is_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(expand([str(tmp_path)])) == []
    assert "no audio or video files" in capsys.readouterr().err
    (tmp_path / "a.wav").touch()
    monkeypatch.chdir(tmp_path)
    assert list(expand([""])) == [""]


def test_a_cut_file_lasts_as_long_as_what_is_there(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.webm"
    cut.write_bytes(Path(CLIP).read_bytes()[:200_000])
    found = analyze_file(str(cut), models, settings_config(Settings(), "meeting"))
    assert 0 < found["duration_s"] < 10
    assert found["voice"]["speech_s"] <= found["duration_s"]
    assert "cut off" in capsys.readouterr().err


def test_a_voice_reference_is_compared_with_every_file(models: Models) -> None:
    voices = clips_dir() / "voices"
    config = settings_config(Settings(), "meeting")
    genuine, synthetic = (str(voices / f"customer_{kind}.opus") for kind in ("genuine", "synthetic"))
    before = analyze_file(genuine, models, config)["signals"]["voice_match"]
    assert (before["llr"], before["reason"]) == (None, "no_enrolment")
    assert models.speaker is not None
    try:
        expect_voice(voices / "customer_genuine.opus", models)
        same, other = (
            analyze_file(path, models, config)["signals"]["voice_match"] for path in (genuine, synthetic)
        )
    finally:
        models.speaker.match.withdraw("file")
    assert same["llr"] < 0 < other["llr"]


def test_a_pause_or_the_end_of_a_file_does_not_hide_that_nobody_was_enrolled(
    models: Models, tmp_path: Path
) -> None:
    silent = tmp_path / "silent.wav"
    with wave.open(str(silent), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(bytes(2 * 16_000 * 6))
    config = settings_config(Settings(), "meeting")
    of_silence = analyze_file(str(silent), models, config)["signals"]
    assert of_silence["speaker_change"]["reason"] != "no_enrolment"
    assert of_silence["voice_match"]["reason"] == "no_enrolment"
    # the clip's last 0.2 s are a stretch too short for a window
    voice = str(clips_dir() / "voices" / "agent_genuine.opus")
    assert analyze_file(voice, models, config)["signals"]["voice_match"]["reason"] == "no_enrolment"


def test_a_damaged_model_is_named_once_and_spoils_the_exit_code_of_what_it_should_have_judged(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    shutil.copytree(models_dir() / "voice_spoof", own / "voice_spoof")
    (own / "voice_spoof" / "model.onnx").write_bytes(b"damaged")
    damaged = load_models(own)
    voice, missing = str(clips_dir() / "voices" / "customer_genuine.opus"), str(tmp_path / "missing.wav")
    config = settings_config(Settings(), "meeting")
    (found, good), (_, read) = analyze_all([voice, missing], damaged, config)
    assert (good, read) == (False, False)
    assert found["signals"]["voice_spoof"] == {"llr": None, "coverage": 0.0, "reason": "detector_failed"}
    assert found["signals"]["speaker_change"]["reason"] != "detector_failed"
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "voice_spoof" in told[0]
    assert "[model_hash]" in told[0]
    assert "the other voice signals score those too" in told[1]
    assert [good for _, good in analyze_all([voice], models, config)] == [True]
    assert capsys.readouterr().err == ""


def test_what_is_not_one_voice_is_scored_by_no_voice_signal(models: Models, tmp_path: Path) -> None:
    """Street noise, music and two people at once: the signals beside voice_spoof say what it says."""
    one, other = (bundled(name, 12.0) for name in ("customer_genuine", "customer_synthetic"))
    rng, samples = np.random.default_rng(0), 12 * 16_000
    sounds = {
        "environment_noise": augment.street(samples, 16_000, rng) / 8,
        "music": 0.3 * augment.music(samples, 16_000, rng),
        "several_speakers": (one / one.std() + other / other.std()) * 0.03,
    }
    config = settings_config(Settings(), "meeting")
    for reason, sound in sounds.items():
        path = tmp_path / f"{reason}.wav"
        written(path, sound)
        signals = analyze_file(str(path), models, config)["signals"]
        for name in ("voice_spoof", "voice_replay", "speaker_change"):
            assert signals[name] == {"llr": None, "coverage": 0.0, "reason": reason}, (reason, name)


def test_a_telephone_tone_is_scored_by_no_voice_signal(models: Models, tmp_path: Path) -> None:
    """British engaged tone, and digits; the scrap at the end is not what is told of the whole."""
    time_s = np.arange(round(19.3 * 16_000)) / 16_000
    engaged = 0.25 * np.sin(2 * np.pi * 400 * time_s) * (time_s % 0.75 < 0.375)
    rng = np.random.default_rng(0)
    low, high = (
        rng.choice(hz, 97)[(time_s / 0.2).astype(int)] for hz in ([697, 770, 852], [1209, 1336, 1477])
    )
    both = np.sin(2 * np.pi * low * time_s) + np.sin(2 * np.pi * high * time_s)
    level = rng.uniform(0.02, 0.15, 97)[(time_s / 0.2).astype(int)]
    config = settings_config(Settings(), "meeting")
    sounds = {"steady_sound": engaged, "tones": level * both * (time_s % 0.2 < 0.16)}
    for reason, sound in sounds.items():
        path = tmp_path / f"{reason}.wav"
        written(path, sound)
        found = analyze_file(str(path), models, config)
        assert (found["verdict"], found["voice"]["windows"]) == ("undecided", 0)
        for name in ("voice_spoof", "voice_replay", "speaker_change"):
            assert found["signals"][name] == {"llr": None, "coverage": 0.0, "reason": reason}, (reason, name)
        with pytest.raises(MediaError) as refused:
            expect_voice(path, models)
        assert refused.value.code == "voice_too_short"


def test_what_is_not_one_voice_is_nobodys_reference(models: Models, tmp_path: Path) -> None:
    one, other = (bundled(name, 12.0) for name in ("customer_genuine", "customer_synthetic"))
    written(tmp_path / "two.wav", (one / one.std() + other / other.std()) * 0.03)
    with pytest.raises(MediaError, match="several_speakers") as refused:
        expect_voice(tmp_path / "two.wav", models)
    assert refused.value.code == "voice_too_short"


def test_speech_is_counted_at_the_speed_it_was_spoken_where_the_rate_changes() -> None:
    speech = bundled("customer_genuine", 12.0)
    slow = Resampler(16_000, 8_000)
    halved = np.concatenate([slow.push(speech), slow.flush()])
    key = TrackKey("s", "p", Kind.AUDIO)
    plain, changing = SpeechMeter(), SpeechMeter()
    for _ in range(2):
        plain.push(AudioFrame(key, 0.0, speech, 16_000))
    for samples, rate_hz in ((halved, 8_000), (speech, 16_000)):
        changing.push(AudioFrame(key, 0.0, samples, rate_hz))
    assert plain.speech_s > 10.0
    assert changing.speech_s == pytest.approx(plain.speech_s, rel=0.1)


def bundled(name: str, seconds: float) -> FloatArray:
    """Return the beginning of a bundled voice, float32 at 16 kHz."""
    frames = read_file(clips_dir() / "voices" / f"{name}.opus")
    samples = np.concatenate([frame.samples for frame in frames if isinstance(frame, AudioFrame)])
    return Resampler(48_000).push(samples)[: int(seconds * 16_000)]


def written(path: Path, samples: FloatArray) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


class Broken:
    """A voice model that fails on every window."""

    def run(self, batch: Batch) -> Outputs:
        raise ModelError("model_run", "out of order")


def test_a_detector_that_fails_on_a_file_is_said(models: Models, capsys: pytest.CaptureFixture[str]) -> None:
    reading = VoiceReading(BinnedLogistic(Logistic(1.0, 0.0, 5.0)), None)
    scripted = replace(models, detectors=(VoiceSpoof(Broken(), reading),))
    voice = str(clips_dir() / "voices" / "customer_genuine.opus")
    ((found, good),) = analyze_all([voice], scripted, settings_config(Settings(), "meeting"))
    assert not good
    assert (found["verdict"], found["llr"]) == ("undecided", None)
    told = capsys.readouterr().err
    assert "voice_spoof failed on" in told
    assert "(model_run: out of order)" in told


def test_nothing_of_a_file_is_remembered_for_the_next(models: Models) -> None:
    config = settings_config(Settings(), "meeting")
    analyze_file(str(clips_dir() / "voices" / "agent_genuine.opus"), models, config)
    assert models.speaker is not None
    assert models.speaker.change.tracks == 0


def beginning(clip: str, folder: Path) -> str:
    """The first three seconds of a bundled clip's pictures, as a file."""
    with av.open(str(clips_dir() / clip)) as whole, av.open(str(folder / clip), "w") as short:
        stream = short.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(whole.streams.video[0]):
            if packet.pts is None or packet.pts * packet.time_base > 3:
                break
            packet.stream = stream
            short.mux(packet)
    return str(folder / clip)


def test_a_face_reference_is_compared_with_every_file(models: Models, tmp_path: Path) -> None:
    frames = read_file(clips_dir() / "customer_genuine.webm")
    picture = next(frame for frame in frames if isinstance(frame, VideoFrame))
    Image.fromarray(picture.image).save(tmp_path / "customer.jpg")
    assert models.identity is not None
    try:
        expect_face(tmp_path / "customer.jpg", models)
        only = replace(models, detectors=(models.identity.detector,))
        config = settings_config(Settings(), "meeting")
        clips = [beginning(f"customer_{kind}.webm", tmp_path) for kind in ("genuine", "synthetic")]
        found = [analyze_file(c, only, config) for c in clips]
        assert [f["verdict"] for f in found] == ["undecided", "suspect"]
        assert [f["face"]["verdict"] for f in found] == ["undecided", "suspect"]
        genuine, synthetic = (f["signals"]["face_identity"] for f in found)
        assert genuine["llr"] < 0 < synthetic["llr"]
        assert min(genuine["coverage"], synthetic["coverage"]) > 0.95
        assert models.identity.detector.remembered == (0, 0)  # nothing of a file is there for the next
    finally:
        models.identity.detector.withdraw("file")


def test_a_face_reference_that_is_none_is_refused_by_name(models: Models, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(MAX_REFERENCE_BYTES + 1)
    wanted = {"missing.jpg": "file_not_found", "text.jpg": "photo_unreadable", "large.jpg": "photo_too_large"}
    for name, code in wanted.items():
        with pytest.raises(MediaError, match=name) as refused:
            expect_face(tmp_path / name, models)
        assert refused.value.code == code


def test_a_voice_reference_that_is_none_is_refused_by_name(models: Models, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no voice")
    with (tmp_path / "large.wav").open("wb") as file:
        file.truncate(MAX_REFERENCE_BYTES + 1)
    wanted = {"missing.wav": "file_not_found", "text.wav": "voice_unreadable", "large.wav": "voice_too_large"}
    for name, code in wanted.items():
        with pytest.raises(MediaError) as refused:
            expect_voice(tmp_path / name, models)
        assert refused.value.code == code
        assert name in refused.value.message


def test_a_voice_reference_without_an_end_is_not_read_to_it(models: Models) -> None:
    with pytest.raises(MediaError) as refused:
        expect_voice(Path("/dev/zero"), models)
    assert refused.value.code == "voice_too_large"
