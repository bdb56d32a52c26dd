"""The literal table of conditions a voice is measured under, in the order of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from zlib import crc32

import numpy as np

from guard.evaluation import augment as a
from guard.evaluation.channels import (
    CHANNELS,
    Channel,
    clean,
    g722,
    opus,
    telephone,
    telephone_then_opus,
)
from guard.types import AudioFrame, FloatArray

SNRS_DB = (20, 10, 5)
LOSSES = (1, 10, 20)
OPUS_KBITS = (8, 12, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Condition:
    """One way a clip reaches the detector.

    Args:
        name: stable, the key in the report.
        group: ``codec`` and ``snr`` are measured on both classes; the others on genuine clips
            alone, for their false alarms.
        label: for people.
        channel: makes the frames.
    """

    name: str
    group: str
    label: str
    channel: Channel

    @property
    def both_classes(self) -> bool:
        """Whether spoof clips are measured under it too."""
        return self.group in ("codec", "snr")


_LABELS = {
    "clean": "clean",
    "opus_24k": "Opus 24 kbit/s",
    "opus_24k_loss_5": "Opus 24 kbit/s, 5 % loss",
    "g711": "G.711 (mu-law)",
}
BARRED = tuple(Condition(name, "codec", _LABELS[name], CHANNELS[name]) for name in _LABELS)
"""The conditions that have bars: all that ``--quick`` measures."""


def full(babble_pool: Sequence[FloatArray]) -> tuple[Condition, ...]:
    """Return every condition.

    Args:
        babble_pool: float32 (N,) genuine clips at 16 kHz, six of which talk at once as babble.
    """
    babble = partial(a.babble, pool=babble_pool)
    return (
        *BARRED,
        Condition("g722", "codec", "G.722", g722),
        *(_noisy("snr", "noise", f"pink noise, SNR {snr} dB", a.pink, snr) for snr in SNRS_DB),
        *(_noisy("noise", "babble", f"babble of six, SNR {snr} dB", babble, snr) for snr in SNRS_DB),
        *_noises(),
        *_rooms(),
        *_devices(),
        *_codecs(),
        *_losses(),
    )


def augmented(name: str, change: a.Augment) -> Channel:
    """Return the channel that applies ``change`` and nothing else; its chance follows from both names."""
    return partial(_augmented, condition=name, change=change)


def _augmented(
    samples: FloatArray, rate_hz: int, name: str, *, condition: str, change: a.Augment
) -> list[AudioFrame]:
    rng = np.random.default_rng(crc32(f"{condition}/{name}".encode()))
    return clean(change(samples, rate_hz, rng), rate_hz, name)


def _condition(group: str, name: str, label: str, change: a.Augment) -> Condition:
    return Condition(name, group, label, augmented(name, change))


def _noisy(group: str, kind: str, label: str, noise: a.Noise, snr_db: int) -> Condition:
    change = partial(a.add_noise, noise=noise, snr_db=float(snr_db))
    return _condition(group, f"{kind}_{snr_db}db", label, change)


def _noises() -> list[Condition]:
    kinds: dict[str, tuple[str, a.Noise]] = {
        "white": ("white noise", a.white),
        "hum": ("mains hum", a.hum),
        "street": ("street", a.street),
        "keyboard": ("keyboard", a.clicks),
        "music": ("music", a.music),
    }
    return [
        _noisy("noise", kind, f"{label}, SNR {snr} dB", noise, snr)
        for kind, (label, noise) in kinds.items()
        for snr in (20, 10)
    ]


def _rooms() -> list[Condition]:
    sizes = {
        "room_small": ("small room, RT60 0.3 s, close", 0.3, 6.0),
        "room_meeting": ("meeting room, RT60 0.6 s, 2 m away", 0.6, 0.0),
        "room_hall": ("hall, RT60 1.0 s, far away", 1.0, -4.0),
    }
    return [
        _condition("room", name, label, partial(a.room, rt60_s=rt60_s, direct_to_tail_db=ratio_db))
        for name, (label, rt60_s, ratio_db) in sizes.items()
    ]


def _devices() -> list[Condition]:
    noisy = partial(a.add_noise, noise=a.pink, snr_db=15.0)
    strong = partial(a.suppress, floor_db=-25.0)
    changes: dict[str, tuple[str, str, a.Augment]] = {
        "band_telephone": ("band", "300 to 3400 Hz", partial(a.band, low_hz=300.0, high_hz=3400.0)),
        "band_muffled": ("band", "below 2500 Hz", partial(a.band, high_hz=2500.0)),
        "low_cut_150": ("band", "above 150 Hz", partial(a.band, low_hz=150.0)),
        "low_cut_400": ("band", "above 400 Hz", partial(a.band, low_hz=400.0)),
        "clip_1": ("clipping", "1 % of the samples clipped", partial(a.clip, share=0.01)),
        "clip_5": ("clipping", "5 % of the samples clipped", partial(a.clip, share=0.05)),
        "level_low": ("level", "speech at -45 dBFS", partial(a.level, rms_db=-45.0)),
        "level_very_low": ("level", "speech at -60 dBFS", partial(a.level, rms_db=-60.0)),
        "level_gain_control": ("level", "automatic gain", a.gain_control),
        "suppress_light": ("suppression", "noise suppression, light", partial(a.suppress, floor_db=-10.0)),
        "suppress_strong": ("suppression", "noise suppression, strong", strong),
        "suppress_noisy": (
            "suppression",
            "pink noise at 15 dB, strong suppression",
            partial(a.chained, steps=(noisy, strong)),
        ),
    }
    return [_condition(group, name, label, change) for name, (group, label, change) in changes.items()]


def _codecs() -> list[Condition]:
    rates = [
        Condition(f"opus_{k}k", "codec rate", f"Opus {k} kbit/s", partial(opus, bit_rate=1000 * k))
        for k in OPUS_KBITS
    ]
    kinds = {"g711_a": "G.711 (A-law)", "amr_12k2": "AMR 12.2 kbit/s", "amr_5k9": "AMR 5.9 kbit/s"}
    telephones = [
        Condition(codec, "telephone", label, partial(telephone, codec=codec))
        for codec, label in kinds.items()
    ]
    twice = partial(telephone_then_opus, codec="amr_12k2")
    return [*rates, *telephones, Condition("amr_then_opus", "telephone", "AMR 12.2, then Opus 24", twice)]


def _losses() -> list[Condition]:
    alone = [
        Condition(
            f"opus_24k_loss_{percent}",
            "loss",
            f"Opus 24 kbit/s, {percent} % loss",
            partial(opus, loss_ratio=percent / 100),
        )
        for percent in LOSSES
    ]
    in_bursts = partial(opus, loss_ratio=0.05, bursts=True)
    return [
        *alone,
        Condition("opus_24k_bursts_5", "loss", "Opus 24 kbit/s, 5 % loss in bursts of 3", in_bursts),
    ]
