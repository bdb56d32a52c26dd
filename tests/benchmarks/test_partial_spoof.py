"""Engines spliced into genuine speech: where the splice lies, how loud, and what is counted of it."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks import partial_spoof
from benchmarks.partial_spoof import (
    CONDITIONS,
    CUT,
    ENGINE,
    KINDS,
    SPLICES_S,
    UNTOUCHED,
    Case,
    Heard,
    account,
    clip_auc,
    draw,
    hear,
    made,
    run,
    share_found,
    speech_rms,
    spliced,
    table,
)
from benchmarks.whole_calls_media import Material, at_16k, demo_material
from guard.errors import ModelError
from guard.evaluation.channels import clean
from guard.fusion.seconds import Stretch
from guard.types import PART_S, Abstain, AudioWindow, Finding, FloatArray, Signal, Window

RATE_HZ = 16_000


class Scripted:
    """Calls ``llr`` what the timeline hears from ``begin_s`` to ``end_s``, and -1 all else."""

    signal = Signal.VOICE_SPOOF

    def __init__(self, begin_s: float = 0.0, end_s: float = 0.0, *, llr: float = 3.0) -> None:
        self._begin_s, self._end_s, self._llr = begin_s, end_s, llr

    def prepare(self, window: Window) -> FloatArray | Abstain:
        assert isinstance(window, AudioWindow)
        return window.samples

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding | Abstain]:
        return [Finding(-0.5, parts_llr=self._parts(window)) for window in windows]

    def _parts(self, window: Window) -> tuple[float, ...]:
        starts_s = np.arange(window.start_s, window.end_s - PART_S + 1e-6, PART_S)
        return tuple(self._llr if self._begin_s <= at < self._end_s else -1.0 for at in starts_s)


class Silent(Scripted):
    """Says nothing of any window."""

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding | Abstain]:
        return [Abstain("music") for _ in windows]


class Broken(Scripted):
    """Fails."""

    def score(self, batch: FloatArray, windows: Sequence[Window]) -> list[Finding | Abstain]:
        raise RuntimeError("no memory")


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial_spoof, "ROUNDS", 20)


@pytest.fixture(scope="module")
def material() -> Material:
    return demo_material()


@pytest.fixture(scope="module")
def voice(material: Material) -> FloatArray:
    (clip,) = material.voices["customer_genuine"]
    return at_16k(clip)


def case(kind: str, *, engine: str = "e", voice: str = "v", splice_s: int = 2, begin_s: float = 4.0) -> Case:
    return Case(kind, voice, engine, 0 if kind == UNTOUCHED else splice_s, begin_s, "1 e 0")


def heard(of: Case, seconds: Sequence[float], mean_llr: float | None = 0.0) -> Heard:
    """A clip whose seconds from 0 on have these llr."""
    known = [Stretch(float(n), llr) for n, llr in enumerate(seconds)]
    pairs = [Stretch(a.start_s, (a.llr + b.llr) / 2) for a, b in pairwise(known)]
    return Heard(of, known, max(pairs, key=lambda pair: pair.llr, default=None), mean_llr)


@pytest.mark.parametrize("seconds", SPLICES_S)
def test_a_splice_lies_where_it_is_said_and_the_rest_stays(voice: FloatArray, seconds: int) -> None:
    host, piece = voice[: 12 * RATE_HZ], voice[-seconds * RATE_HZ :]
    for begin_s in (1.0, 3.21, 11.0 - seconds):
        out = spliced(host, piece, begin_s)
        start = round(begin_s * RATE_HZ)
        end = start + len(piece)
        assert out.shape == host.shape
        assert out.dtype == np.float32
        np.testing.assert_array_equal(out[:start], host[:start])
        np.testing.assert_array_equal(out[end:], host[end:])
        inner = slice(start + 160, end - 160)
        scale = out[inner] @ piece[160:-160] / (piece[160:-160] @ piece[160:-160])
        np.testing.assert_allclose(out[inner], scale * piece[160:-160], atol=1e-6)


def test_a_splice_fades_in_and_out_over_ten_milliseconds() -> None:
    dice = np.random.default_rng(1)
    host = np.full(12 * RATE_HZ, 0.1, np.float32)
    piece = (0.1 * np.sign(dice.standard_normal(RATE_HZ))).astype(np.float32)
    out = spliced(host, piece, 5.0)
    faded = np.abs(out[5 * RATE_HZ : 6 * RATE_HZ] - host[0]) / np.abs(piece - host[0]).clip(1e-9)
    share = faded[piece < 0]  # where both are alike nothing can be seen
    at = np.flatnonzero(piece < 0)
    from_edge = np.minimum(at, len(piece) - 1 - at)
    np.testing.assert_allclose(share, np.minimum(from_edge / 160, 1.0), atol=1e-5)


@pytest.mark.parametrize("gain", [0.1, 0.3, 1.0])
def test_a_splice_is_as_loud_as_the_speech_around_it_however_loud_it_was(
    voice: FloatArray, gain: float
) -> None:
    host, piece = voice[: 12 * RATE_HZ], voice[-2 * RATE_HZ :]
    out = spliced(host, (gain * piece).astype(np.float32), 5.0)
    around = np.concatenate([host[3 * RATE_HZ : 5 * RATE_HZ], host[7 * RATE_HZ : 9 * RATE_HZ]])
    within = out[5 * RATE_HZ : 7 * RATE_HZ]
    assert speech_rms(within) == pytest.approx(speech_rms(around), rel=0.1)


def test_a_loud_peak_turns_the_whole_clip_down_and_clips_nothing() -> None:
    host = np.full(12 * RATE_HZ, 0.5, np.float32)
    piece = np.full(RATE_HZ, 1e-3, np.float32)
    piece[RATE_HZ // 2] = 0.02
    out = spliced(host, piece, 5.0)
    assert np.abs(out).max() == pytest.approx(1.0)
    assert out[0] < 0.5


def test_the_level_is_that_of_speech_and_no_pause_counts(voice: FloatArray) -> None:
    pause = np.zeros(3 * RATE_HZ, np.float32)
    assert speech_rms(np.concatenate([voice, pause])) == pytest.approx(speech_rms(voice), rel=0.05)
    assert speech_rms(np.full(RATE_HZ, 0.25, np.float32)) == pytest.approx(0.25, rel=1e-3)  # no speech at all
    assert speech_rms(pause) > 0


def test_the_same_clips_are_drawn_from_the_same_seed_with_as_many_controls(material: Material) -> None:
    cases, again, other = (list(draw(material, 3, seed)) for seed in (1, 1, 2))
    assert cases == again != other
    assert Counter((c.kind, c.splice_s) for c in cases) == {
        (UNTOUCHED, 0): 3,
        **{(kind, splice_s): 3 for kind in (ENGINE, CUT) for splice_s in SPLICES_S},
    }
    for c in cases:
        if c.kind != UNTOUCHED:
            assert 1.0 <= c.begin_s <= 11.0 - c.splice_s
            # the control is cut at the same place out of the same 12 s
            assert replace(c, kind=CUT if c.kind == ENGINE else ENGINE) in cases
    assert {c.voice for c in cases} == set(material.voices)


def test_clips_of_one_stretch_differ_in_the_splice_alone(material: Material) -> None:
    cases = list(draw(material, 1, 5))
    untouched = made(cases[0], material)
    assert untouched.shape == (12 * RATE_HZ,)
    for c in cases[1:]:
        samples = made(c, material)
        np.testing.assert_array_equal(samples, made(c, material))
        start, end = round(c.begin_s * RATE_HZ), round(c.begin_s * RATE_HZ) + c.splice_s * RATE_HZ
        # turned down as a whole where a peak asked for it
        scale = samples[:start] @ untouched[:start] / (untouched[:start] @ untouched[:start])
        np.testing.assert_allclose(samples[:start], scale * untouched[:start], atol=1e-5)
        np.testing.assert_allclose(samples[end:], scale * untouched[end:], atol=1e-5)
        assert np.abs(samples[start:end] - scale * untouched[start:end]).max() > 0.01


def test_the_overlap_is_what_two_stretches_share() -> None:
    c = case(ENGINE, splice_s=2, begin_s=4.4)
    assert [round(c.overlap_s(n, 1.0), 6) for n in range(3, 8)] == [0.0, 0.6, 1.0, 0.4, 0.0]
    dice = random.Random(1)
    for _ in range(100):
        c = case(ENGINE, splice_s=dice.choice(SPLICES_S), begin_s=dice.uniform(1.0, 8.0))
        assert sum(c.overlap_s(n, 1.0) for n in range(12)) == pytest.approx(c.splice_s)
    assert case(UNTOUCHED).overlap_s(0.0, 12.0) == pytest.approx(0.0)


def test_seconds_are_labelled_by_the_half_of_them_and_those_between_are_left_out() -> None:
    of = [
        heard(case(kind, splice_s=splice_s, begin_s=4.4), [float(n) for n in range(12)])
        for kind in KINDS
        for splice_s in SPLICES_S
    ]
    rows = account(of)
    # of 1 s: 4 has 0.6 s of it, 5 the rest; with every second more one more second lies within
    for splice_s in SPLICES_S:
        rest, other = rows[str(splice_s)]["rest_of_the_clip"], rows[str(splice_s)]["other_cut"]
        assert (rest["spoof"], rest["genuine"]) == (splice_s, 12 - splice_s - 1)
        assert (other["spoof"], other["genuine"]) == (splice_s, splice_s)
        # 0 to 3 lie below all of the splice's, what comes behind lies above
        assert rest["auc"]["value"] == pytest.approx(4 / (11 - splice_s), abs=1e-4)
        assert (other["auc"]["value"], other["eer"]["value"]) == (pytest.approx(0.5), pytest.approx(0.5))


def test_a_timeline_that_knows_the_splice_finds_every_clip_and_windows_that_know_nothing_none() -> None:
    of: list[Heard] = []
    for n in range(20):
        high = [3.0 if at in (4, 5) else -1.0 for at in range(12)]
        low = [-1.0 - at / 100 for at in range(12)]
        for splice_s in SPLICES_S:
            for kind in KINDS if splice_s == 1 else (ENGINE, CUT):
                who = case(kind, engine=f"e{n % 4}", voice=f"v{n % 3}", splice_s=splice_s)
                of.append(heard(who, high if kind == ENGINE else low))
    row = account(of)["2"]
    assert row["clips"] == dict.fromkeys(KINDS, 20)
    assert row["rest_of_the_clip"]["eer"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert row["pair_at_splice"] == {ENGINE: 20, CUT: 0}
    clips = row["by_clip"][f"{ENGINE}, {CUT}"]
    assert clips["auc"]["timeline"]["value"] == pytest.approx(1.0)
    assert clips["auc"]["windows"]["value"] == pytest.approx(0.5)
    assert clips["auc"]["timeline - windows"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert (clips["found"]["timeline"]["value"], clips["found"]["windows"]["value"]) == (1.0, 0.0)
    assert row["by_clip"][f"{CUT}, {UNTOUCHED}"]["auc"]["timeline"]["value"] == pytest.approx(0.5)


def test_a_clip_of_which_nothing_is_known_counts_as_llr_0_and_as_not_found() -> None:
    label = np.array([True, True, False, False])
    llr = np.array([np.nan, 2.0, -1.0, 1.0])
    assert clip_auc(llr, label) == pytest.approx(3 / 4)
    assert share_found(llr, label) == pytest.approx(0.5)
    # 0 would lie above every control, and yet nothing was found
    below = np.array([np.nan, np.nan, -2.0, -1.0])
    assert share_found(below, label) == pytest.approx(0.0)
    assert share_found(np.array([np.nan, 2.0, np.nan, np.nan]), label) == pytest.approx(0.5)


def test_a_threshold_lets_at_most_five_percent_of_the_controls_pass() -> None:
    for count in (10, 19, 20, 24, 40):
        label = np.arange(2 * count) < count
        llr = np.concatenate([np.arange(count), np.arange(count)]).astype(np.float64)
        assert share_found(llr, label) == pytest.approx(math.floor(0.05 * count) / count)


def test_what_the_detector_says_of_half_seconds_comes_out_as_seconds(material: Material) -> None:
    found = hear(case(ENGINE), made(next(draw(material, 1, 1)), material), clean, Scripted(4.0, 6.0))
    said = {second.start_s: second.llr for second in found.seconds}
    assert set(said) >= {float(n) for n in range(2, 11)}
    # windows begin at half seconds of their own where the first was shorter, so the edges may blur
    assert max(said, key=lambda at: said[at]) in (4.0, 5.0)
    assert said[9.0] == pytest.approx(-1.0)
    assert found.pair is not None
    assert found.pair.start_s == pytest.approx(4.0)
    assert found.mean_llr == pytest.approx(-0.5)


def test_a_detector_that_abstains_leaves_nothing_known_and_one_that_fails_ends_it(material: Material) -> None:
    samples = made(next(draw(material, 1, 1)), material)
    found = hear(case(ENGINE), samples, clean, Silent())
    assert (list(found.seconds), found.pair, found.mean_llr) == ([], None, None)
    with pytest.raises(ModelError, match="the detector failed"):
        hear(case(ENGINE), samples, clean, Broken())


def test_a_run_without_any_known_second_still_gives_an_account(
    material: Material, capsys: pytest.CaptureFixture[str]
) -> None:
    conditions = run(material, list(draw(material, 1, 1)), Silent())
    assert set(conditions) == set(CONDITIONS)
    row = conditions["clean"]["1"]
    assert row["no_timeline"] == row["no_window"] == row["clips"] == dict.fromkeys(KINDS, 1)
    assert row["rest_of_the_clip"] == {"spoof": 0, "genuine": 0}
    assert row["by_clip"][f"{ENGINE}, {CUT}"]["auc"]["timeline"]["value"] == pytest.approx(0.5)
    assert row["by_clip"][f"{ENGINE}, {CUT}"]["found"]["timeline"]["value"] == pytest.approx(0.0)
    json.dumps(conditions, allow_nan=False)
    assert "| clean, 1 s | 0, 0, 0 | - | - | 1+1 | 1+1 | 0.50" in table(conditions)
    assert "[2/2] opus_24k, 7 clips" in capsys.readouterr().err


def test_the_command_writes_seed_machine_and_model_beside_the_figures(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(partial_spoof, "read_material", lambda folders: material)
    monkeypatch.setattr(partial_spoof, "run", lambda material, cases, detector: {"clean": {}})
    out = tmp_path / "out.json"
    monkeypatch.setattr("sys.argv", ["partial_spoof", "some/val", "--seed", "7", "--out", str(out)])
    partial_spoof.main()
    written = json.loads(out.read_text(encoding="utf-8"))
    assert (written["folder"], written["seed"], written["times"]) == ("val", 7, 2)
    assert written["model"]["name"] == "voice_spoof"
    assert written["machine"]
    assert written["engines"] == ["Open JTalk"]
    assert "CPU-s, seed 7" in capsys.readouterr().out
