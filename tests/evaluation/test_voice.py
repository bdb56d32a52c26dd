"""guard eval voice: the report's form, conditions, counting of clips that were not scored, bad folders."""

from __future__ import annotations

import csv
import json
import wave
from pathlib import Path

import numpy as np
import pytest

from guard.codec.files import read_file
from guard.errors import ConfigError
from guard.evaluation.channels import CHANNELS, opus_lossy
from guard.evaluation.voice import Item, Result, read_manifest, run, summary
from guard.resources import clips_dir
from guard.types import AudioFrame

VOICES = clips_dir() / "voices"


def manifest(folder: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "system", "source"), *rows])
    return folder


def excerpt(folder: Path, name: str) -> str:
    """Write the first 6 s of a bundled voice as a WAV file; return its name."""
    parts = [f for f in read_file(VOICES / f"{name}.opus") if isinstance(f, AudioFrame)]
    samples = np.concatenate([f.samples for f in parts])[: 6 * parts[0].rate_hz]
    with wave.open(str(folder / f"{name}.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(parts[0].rate_hz)
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    return f"{name}.wav"


def tone(seconds: float, rate_hz: int = 16_000) -> np.ndarray:
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    return (0.1 * np.sin(2 * np.pi * 300 * t)).astype(np.float32)


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_every_channel_keeps_length_and_level(name: str) -> None:
    frames = CHANNELS[name](tone(3.0), 16_000, "clip")
    seconds = sum(len(f.samples) / f.rate_hz for f in frames)
    level = np.sqrt(np.mean(np.concatenate([f.samples for f in frames]) ** 2))
    assert seconds == pytest.approx(3.0, abs=0.1)
    assert level == pytest.approx(0.1 / np.sqrt(2), rel=0.15)
    assert [f.time_s for f in frames] == sorted(f.time_s for f in frames)


def test_losses_are_marked_and_repeatable() -> None:
    one, again = opus_lossy(tone(4.0), 16_000, "a"), opus_lossy(tone(4.0), 16_000, "a")
    lost = sum(len(f.samples) for f in one if f.concealed) / sum(len(f.samples) for f in one)
    assert 0.01 < lost < 0.12
    np.testing.assert_array_equal(
        np.concatenate([f.samples for f in one]), np.concatenate([f.samples for f in again])
    )


def test_report_on_the_bundled_voices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        (excerpt(tmp_path, "customer_genuine"), "bonafide", "natural", "ru"),
        (excerpt(tmp_path, "agent_genuine"), "bonafide", "natural", "fr"),
        (excerpt(tmp_path, "customer_synthetic"), "spoof", "Kokoro", "kokoro"),
    ]
    assert run([manifest(tmp_path, rows)], as_json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["clips"] == 3
    assert set(report["conditions"]) == set(CHANNELS)
    for figures in report["conditions"].values():
        assert figures["coverage"] == 1.0
        assert figures["eer"]["low"] <= figures["eer"]["value"] <= figures["eer"]["high"]
    assert report["systems"]["Kokoro"]["is_spoof"] is True


def test_unreadable_clip_is_named_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.flac").write_bytes(b"fLaC")
    rows = [
        (excerpt(tmp_path, "customer_genuine"), "real", "natural", "ru"),
        (excerpt(tmp_path, "customer_synthetic"), "fake", "Kokoro", "kokoro"),
        ("broken.flac", "fake", "Kokoro", "kokoro"),
    ]
    assert run([manifest(tmp_path, rows)], as_json=False) == 1
    captured = capsys.readouterr()
    assert "broken.flac" in captured.err
    assert "opus_24k" in captured.out


def test_abstained_clip_counts_as_zero_and_as_not_covered() -> None:
    items = [Item(Path("a"), False, "natural", "x"), Item(Path("b"), True, "e", "e")]
    figures = summary(items, Result([-1.0, 0.0], [True, False]))
    assert figures["coverage"] == 0.5
    assert figures["eer"]["value"] == 0.0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, "manifest_missing"),
        (b"path,source\na,b\n", "manifest_invalid"),
        (b"path,label,source\na,maybe,b\n", "manifest_invalid"),
        (b"label,source,path\nspoof,b\n", "manifest_invalid"),
        (b"path,label\n\x8b\xff", "manifest_invalid"),
    ],
)
def test_folder_without_a_usable_manifest_is_refused(tmp_path: Path, data: bytes | None, code: str) -> None:
    if data is not None:
        (tmp_path / "manifest.csv").write_bytes(data)
    with pytest.raises(ConfigError, match=r"manifest\.csv") as error:
        read_manifest(tmp_path)
    assert error.value.code == code


def test_one_class_alone_is_refused(tmp_path: Path) -> None:
    rows = [(excerpt(tmp_path, "customer_genuine"), "bonafide", "natural", "ru")]
    with pytest.raises(ConfigError, match="both"):
        run([manifest(tmp_path, rows)], as_json=True)
