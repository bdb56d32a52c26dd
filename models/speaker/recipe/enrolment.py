"""Whether a recording to enrol is taken: of one person, and of two after each other, under call conditions.

.venv/bin/python models/speaker/recipe/enrolment.py [CONDITION...]    prints a Markdown table

The windows are those of guard's own enrolment (``guard.app.describe.clear_voice``), and so is the limit. A
recording of one person is a stretch of 24 s of their joined clips, two of each; one of two persons eight
windows of each of a pair, all pairs. Both went through the same condition, each by itself. Intervals are
exact, over recordings; pairs share people, so theirs is too narrow.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import combinations

from changes import RATE_HZ, voices

from guard.app.describe import MAX_PARTED, MIN_SPEECH_S, clear_voice, parted
from guard.app.parts import load_models
from guard.detectors.speaker import Speaker, load_speaker
from guard.evaluation import augment
from guard.evaluation.channels import CHANNELS, Channel
from guard.evaluation.conditions import augmented
from guard.evaluation.exact import share
from guard.inference.content import telling
from guard.resources import models_dir
from guard.types import Detector, FloatArray

STRETCH_S, STRETCHES, OF_EACH = 24, 2, 8
CONDITIONS: dict[str, Channel] = {
    **CHANNELS,
    **{
        f"pink noise, SNR {snr} dB": augmented(
            f"noise_{snr}db", partial(augment.add_noise, noise=augment.pink, snr_db=float(snr))
        )
        for snr in (20, 15)
    },
}


def described(
    samples: FloatArray, name: str, *, channel: Channel, speaker: Speaker, tells: Detector
) -> tuple[list[FloatArray], float]:
    """Return the vectors of a recording's windows and its seconds of clear speech, as enrolment has them."""
    vectors, speech_s, _ = clear_voice(channel(samples, RATE_HZ, name), speaker, tells)
    return vectors, speech_s


def row(condition: str, told: Callable[[FloatArray, str], tuple[list[FloatArray], float]]) -> str:
    """Return the condition's row of the table."""
    short, refused, firsts = 0, 0, []
    length = STRETCH_S * RATE_HZ
    people = voices()
    for who, speech in people.items():
        for n in range(STRETCHES):
            part = speech[n * length : (n + 1) * length]
            if len(part) < length / 2:
                continue
            vectors, speech_s = told(part, f"{who}-{n}")
            if speech_s < MIN_SPEECH_S:
                short += 1
                continue
            refused += parted(vectors) > MAX_PARTED
            firsts.append((who, vectors[:OF_EACH]))
    pairs = [(a, b) for (one, a), (other, b) in combinations(firsts, 2) if one != other]
    found = sum(parted([*a, *b]) > MAX_PARTED for a, b in pairs)
    cells = []
    for hits, trials in ((refused, len(firsts)), (found, len(pairs))):
        if not trials:
            cells.append("none left")
            continue
        rate = share(hits, trials)
        cells.append(
            f"{hits} of {trials}: {100 * rate.value:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}] %"
        )
    return f"| {condition} | {len(people)} | {short} | {' | '.join(cells)} |"


def main() -> None:
    speaker = load_speaker(models_dir() / "speaker")
    tells = telling(load_models(models_dir()).detectors)
    if tells is None:
        sys.exit("no model in use tells music, noise and several people from one voice")
    print("| condition | people | too short | one person, refused | two persons, refused |")
    print("|---|---|---|---|---|", flush=True)
    for name in sys.argv[1:] or CONDITIONS:
        told = partial(described, channel=CONDITIONS[name], speaker=speaker, tells=tells)
        print(row(name, told), flush=True)


if __name__ == "__main__":
    main()
