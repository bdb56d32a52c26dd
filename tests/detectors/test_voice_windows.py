"""The voice recipe's training windows: what a call lost of each is known, or drawn again where it is not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from guard.resources import models_dir
from tests.detectors.recipes import recipe_modules

RECIPE = models_dir() / "voice" / "recipe"
RATE, CLIPS = 16_000, 3
VOICE = 0.2 * np.sin(2 * np.pi * 440 * np.arange(4 * RATE) / RATE)
# two seconds of it, then a silence that DTX leaves out
WITH_PAUSE = np.where(np.arange(4 * RATE) < 2 * RATE, VOICE, 0.0)


@pytest.fixture
def modules() -> Iterator[None]:
    """Imports of the recipe's scripts by their plain names."""
    with recipe_modules(RECIPE):
        yield


@pytest.fixture
def codecs(modules: None, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The codecs; scipy, which is not guard's, only draws the flanks of bands that no test here asks for."""
    scipy = ModuleType("scipy")
    scipy.signal = ModuleType("signal")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scipy", scipy)
    return importlib.import_module("call_codecs")


@pytest.fixture
def windows(modules: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """``windows.py`` over a call chain of its own: noise, the row's number of hundredths of it lost."""

    def received(x: np.ndarray, lost: int = 0) -> SimpleNamespace:
        return SimpleNamespace(samples=x, concealed=np.arange(64_000) < 640 * lost)

    def augment(x: np.ndarray, rng: np.random.Generator) -> SimpleNamespace:
        return received(rng.uniform(-0.5, 0.5, 64_000), round(float(x[0]) * 100))

    chain = SimpleNamespace(RATE=RATE, WINDOW=64_000, augment=augment, fit=lambda x: np.resize(x, 64_000))
    chain.Received = SimpleNamespace(whole=received)
    clips = SimpleNamespace(made_sets=list, clip_paths=lambda _: [tmp_path / str(n) for n in range(CLIPS)])
    sound = SimpleNamespace(read=lambda path, dtype: (np.full(9, int(path.name) / 100, dtype), RATE))
    for name, fake in (("chain", chain), ("clips", clips), ("soundfile", sound)):
        monkeypatch.setitem(sys.modules, name, fake)
    monkeypatch.setenv("GUARD_CACHE", str(tmp_path / "cache"))
    return importlib.import_module("windows")


@pytest.mark.parametrize("codec", ["pcm_mulaw", "g723_1"])
def test_what_is_told_to_be_lost_is_what_the_receiver_left_empty(codecs: ModuleType, codec: str) -> None:
    rng = np.random.default_rng(1)
    got = codecs.transmit(VOICE, codec, loss=0.1, rng=rng, hide="empty")
    assert got.samples.shape == got.concealed.shape == VOICE.shape
    assert 0.05 < got.concealed.mean() < 0.2
    # the resampler smears the edges over a few milliseconds
    inside = np.convolve(got.concealed, np.ones(161), "same") > 160
    level = np.sqrt(np.mean(got.samples[inside] ** 2)), np.sqrt(np.mean(got.samples[~got.concealed] ** 2))
    assert inside.any() and level[0] < 0.1 * level[1]


def test_a_packet_that_was_never_sent_is_not_lost(codecs: ModuleType) -> None:
    whole = codecs.transmit(WITH_PAUSE, "libopus", bit_rate=24_000, dtx=True)
    assert not whole.concealed.any()
    lossy = [
        codecs.transmit(
            WITH_PAUSE, "libopus", bit_rate=24_000, loss=0.2, rng=np.random.default_rng(3), dtx=dtx
        )
        for dtx in (False, True)
    ]
    half = len(VOICE) // 2
    np.testing.assert_array_equal(lossy[0].concealed[:half], lossy[1].concealed[:half])
    assert lossy[1].concealed[half:].sum() < lossy[0].concealed[half:].sum()


def test_losses_are_drawn_as_before_and_samples_are_those_of_code(codecs: ModuleType) -> None:
    how = {"bit_rate": 16_000, "loss": 0.1, "hide": "conceal"}
    told = codecs.transmit(VOICE, "libopus", rng=np.random.default_rng(6), **how)
    np.testing.assert_array_equal(
        codecs.code(VOICE, "libopus", rng=np.random.default_rng(6), **how), told.samples
    )
    # 4 s and the 0.1 s after it are 206 packets; the decoder leaves out the 6.5 ms the encoder ran ahead
    lost = codecs.bursts(206, 0.1, np.random.default_rng(6))
    np.testing.assert_array_equal(told.concealed, np.repeat(lost, 320)[104:64_104])


def test_what_two_legs_lost_counts_once_where_it_overlaps(codecs: ModuleType) -> None:
    first, second = (
        codecs.Received(np.full(4, n, np.float32), np.array(lost, bool))
        for n, lost in ((1, [1, 1, 0, 0]), (2, [0, 1, 1, 0]))
    )
    both = second.after(first)
    assert both.samples[0] == 2
    assert both.concealed.tolist() == [True, True, True, False]
    assert not codecs.Received.whole(VOICE).concealed.any()


def test_windows_and_their_losses_are_written_together(windows: ModuleType) -> None:
    windows.make("real", 0)
    windows.make("real", 1)
    files = windows.window_files("real")
    assert [path.name for path in files] == ["real-0.npy", "real-1.npy"]
    assert windows.window_files() == files
    assert windows.concealed_shares(files[0]).tolist() == [0, 0, 0]
    np.testing.assert_allclose(windows.concealed_shares(files[1]), [0, 0.01, 0.02])
    assert sorted(path.suffix for path in files[0].parent.iterdir()) == [".npy"] * 4


def test_windows_without_losses_keep_theirs_and_get_them(
    windows: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    windows.make("real", 1)
    file = windows.window_file("real", 1)
    told = windows.concealed_file(file)
    before, stamp, shares = file.read_bytes(), file.stat().st_mtime_ns, np.load(told)
    told.unlink()
    with pytest.raises(SystemExit, match=r"real-1\.concealed\.npy is missing: run windows\.py"):
        windows.concealed_shares(file)
    windows.make("real", 1)
    np.testing.assert_array_equal(np.load(told), shares)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (before, stamp)
    assert "losses done" in capsys.readouterr().out


def test_windows_of_another_chain_get_no_losses(windows: ModuleType) -> None:
    windows.make("real", 1)
    file = windows.window_file("real", 1)
    windows.concealed_file(file).unlink()
    rows = np.load(file)
    rows[2, 100] += 1
    np.save(file, rows)
    with pytest.raises(SystemExit, match=r"row 2 of .*real-1\.npy is not what is drawn now"):
        windows.make("real", 1)
    assert not windows.concealed_file(file).exists()


@pytest.mark.parametrize("again", [False, True])
def test_goes_on_where_it_was_stopped(
    windows: ModuleType, monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    windows.make("real", 1)
    file = windows.window_file("real", 1)
    told = windows.concealed_file(file)
    wanted = np.load(file), np.load(told)
    told.unlink()
    if not again:
        file.unlink()
    monkeypatch.setattr(windows, "STEP", 1)
    draw, seen = windows.drawn, []

    def stopped(name: str, copy: int, row: int, clip: Path) -> tuple[np.ndarray, float]:
        seen.append(row)
        if seen.count(2) == 1 and row == 2:
            raise KeyboardInterrupt
        return draw(name, copy, row, clip)  # type: ignore[no-any-return]

    monkeypatch.setattr(windows, "drawn", stopped)
    with pytest.raises(KeyboardInterrupt):
        windows.make("real", 1)
    windows.make("real", 1)
    assert seen == [0, 1, 2, 2]
    for path, rows in zip((file, told), wanted, strict=True):
        np.testing.assert_array_equal(np.load(path), rows)
