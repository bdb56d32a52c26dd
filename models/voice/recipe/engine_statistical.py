"""Engines without a neural net: espeak-ng (formants, Klatt), flite, festival (diphones, units), svox pico.

Needs Debian's espeak-ng, flite, festival, libttspico-utils (non-free) and the festvox packages of FESTIVAL.
None of festival's HTS voices, no RHVoice: the demo's synthetic customer speaks through the same engine
(hts_engine).
"""

from __future__ import annotations

import subprocess
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from engine import Job

ESPEAK = {
    "en-us": "en", "en-gb+f3": "en", "ru": "ru", "ru+f2": "ru", "kk": "kk", "kk+f3": "kk", "de": "de",
    "es": "es", "fr": "fr", "it": "it", "tr": "tr",
}  # fmt: skip
KLATT = ("klatt", "klatt2", "klatt3", "klatt4")
FLITE = ("kal16", "awb", "rms", "slt")
# voice: language, encoding of its text, package, licence
FESTIVAL = {
    "kal_diphone": ("en", "utf-8", "festvox-kallpc16k", "X11-like"),
    "ked_diphone": ("en", "utf-8", "festvox-kdlpc16k", "X11-like"),
    "czech_machac": ("cs", "iso-8859-2", "festvox-czech-machac", "GPL-3+"),
    "czech_dita": ("cs", "iso-8859-2", "festvox-czech-dita", "GPL-3+"),
    "czech_krb": ("cs", "iso-8859-2", "festvox-czech-krb", "GPL-3+"),
    "czech_ph": ("cs", "iso-8859-2", "festvox-czech-ph", "GPL-2+"),
    "suo_fi_lj_diphone": ("fi", "iso-8859-1", "festvox-suopuhe-lj", "LGPL-2+"),
    "hy_fi_mv_diphone": ("fi", "iso-8859-1", "festvox-suopuhe-mv", "LGPL-2+"),
    "lp_diphone": ("it", "iso-8859-1", "festvox-italp16k", "GPL-2+"),
    "pc_diphone": ("it", "iso-8859-1", "festvox-itapc16k", "GPL-2+"),
    "hindi_NSK_diphone": ("hi", "utf-8", "festvox-hi-nsk", "GPL-2+"),
    "msu_ru_nsh_clunits": ("ru", "utf-8", "festvox-ru", "BSD-like"),
}
PICO = {"en-US": "en", "en-GB": "en", "de-DE": "de", "es-ES": "es", "fr-FR": "fr", "it-IT": "it"}


def _run(command: list[str], text: bytes = b"") -> tuple[np.ndarray, int]:
    """Run ``command`` with a scratch file's name after it; return what it wrote there."""
    with tempfile.TemporaryDirectory() as scratch:
        wav = Path(scratch) / "a.wav"
        subprocess.run([*command, str(wav)], input=text, check=True, capture_output=True)
        x, rate = soundfile.read(wav)
    return x, rate


def espeak(voice: str, text: str, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    speed, pitch = str(int(rng.integers(130, 190))), str(int(rng.integers(25, 75)))
    return _run(["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "--stdin", "-w"], text.encode())


def flite(voice: str, text: str, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    stretch = f"duration_stretch={rng.uniform(0.85, 1.2):.2f}"
    return _run(["flite", "-voice", voice, "--setf", stretch, "-t", text, "-o"])


def festival(voice: str, encoding: str, text: str, _: np.random.Generator) -> tuple[np.ndarray, int]:
    return _run(["text2wave", "-eval", f"(voice_{voice})", "-o"], text.encode(encoding))


def pico(voice: str, text: str, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    pitch, speed = rng.integers(80, 130), rng.integers(85, 115)
    with tempfile.TemporaryDirectory() as scratch:
        wav = Path(scratch) / "a.wav"
        marked = f'<pitch level="{pitch}"><speed level="{speed}">{text}</speed></pitch>'
        subprocess.run(["pico2wave", "-l", voice, "-w", str(wav), marked], check=True, capture_output=True)
        x, rate = soundfile.read(wav)
    return x, rate


def _festival_job(voice: str, count: int) -> Job:
    language, encoding, package, licence = FESTIVAL[voice]
    say = partial(festival, voice, encoding)
    return Job(f"festival-{voice}", voice, language, count, say, f"{licence} ({package})")


def first_jobs() -> list[Job]:
    """Return the jobs of the first set: the detector of version 0.2.0 knew these engines."""
    voices = ("kal_diphone", "ked_diphone", "czech_machac", "suo_fi_lj_diphone", "lp_diphone")
    return [
        *(Job("espeak-ng", v, language, 5, partial(espeak, v), "GPL-3+") for v, language in ESPEAK.items()),
        *(Job("flite", v, "en", 10, partial(flite, v), "BSD-like") for v in FLITE),
        *(_festival_job(voice, 10) for voice in voices),
    ]


def jobs() -> list[Job]:
    """Return the jobs of the second set: pico, Klatt, Russian units and more diphone voices."""
    voices = ("czech_dita", "czech_krb", "czech_ph", "hy_fi_mv_diphone", "pc_diphone", "hindi_NSK_diphone")
    spoken = ("ru", "kk", "en-us", "de", "es", "fr", "tr")
    return [
        _festival_job("msu_ru_nsh_clunits", 50),
        *(Job("svox-pico", v, lang, 14, partial(pico, v), "Apache-2.0") for v, lang in PICO.items()),
        *(
            Job("espeak-klatt", f"{v}+{k}", v[:2], 2, partial(espeak, f"{v}+{k}"), "GPL-3+")
            for v in spoken
            for k in KLATT
        ),
        *(_festival_job(voice, 16) for voice in voices),
        *(
            Job("espeak-ng", v, v[:2], 12, partial(espeak, v), "GPL-3+")
            for v in ("kk", "kk+f3", "ru+f4", "ru+m7")
        ),
    ]
