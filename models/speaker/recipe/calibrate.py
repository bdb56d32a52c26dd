"""Take the channel out of the vectors, measure, fit both calibrations, write model.onnx and card.toml.

python calibrate.py        reads base.onnx and the embeddings of speakers.py; prints the table

The compensation is within-class covariance normalisation (Hatch, Kajarekar, Stolcke, Interspeech 2006) over
segments and channels of one person. Every number and both calibrations come from speakers whose
compensation was fitted on the other half of the speakers; the shipped one is fitted on all.
"""

from __future__ import annotations

import hashlib
import sys
from string import Template

import numpy as np
import onnx
from export import base_file, compensated
from speakers import HERE, embeddings

sys.path.insert(0, str(HERE.parent.parent.parent))

from guard.fusion.calibration import fit_logistic

# newest window, reference: what a call compares; the channel may drift within a call
CHANGE = (
    ("opus", "opus"),
    ("opus_loss", "opus_loss"),
    ("g711", "g711"),
    ("noise_15", "noise_15"),
    ("opus", "opus_loss"),
    ("opus_loss", "opus"),
    ("noise_15", "clean"),
    ("clean", "noise_15"),
)
# a call against a file that was recorded elsewhere
MATCH = (
    ("opus", "clean"),
    ("opus_loss", "clean"),
    ("g711", "clean"),
    ("noise_15", "clean"),
    ("device", "clean"),
    ("device", "opus"),
    ("opus", "g711"),
    ("clean", "device"),
)
TABLE = (
    ("clean", "clean"),
    ("opus", "opus"),
    ("opus_loss", "opus_loss"),
    ("g711", "g711"),
    ("noise_15", "noise_15"),
    ("noise_5", "noise_5"),
    ("opus", "clean"),
    ("opus_loss", "clean"),
    ("g711", "clean"),
    ("g711", "opus"),
    ("device", "clean"),
    ("noise_15", "clean"),
    ("noise_5", "clean"),
)
SHARES = {"speaker_change": (0.2, 0.05), "voice_match": (0.5, 0.005)}
PAIRS_A_SPEAKER = 24
# share of the mean variance added to every direction: between nearly none and half of the channels' own
RIDGE = 3.0


def compensation(made: dict[str, np.ndarray], who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (256,) and matrix (256, 256) that make the spread within one person round."""
    every = np.stack(list(made.values()), axis=1)
    within = np.zeros((every.shape[2],) * 2)
    for k in np.unique(who):
        own = every[who == k].reshape(-1, every.shape[2])
        within += np.cov(own.T, bias=True) / len(np.unique(who))
    within += RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    values, vectors = np.linalg.eigh(within)
    matrix = vectors @ np.diag(values**-0.5) @ vectors.T
    return every.reshape(-1, every.shape[2]).mean(axis=0), matrix / np.abs(matrix).max()


def crossed(made: dict[str, np.ndarray], who: np.ndarray) -> dict[str, np.ndarray]:
    """Return the vectors compensated by what was fitted on the other half of the speakers."""
    out = {channel: np.zeros_like(vectors) for channel, vectors in made.items()}
    for half in (0, 1):
        mine, others = who % 2 == half, who % 2 != half
        mean, matrix = compensation({c: v[others] for c, v in made.items()}, who[others])
        for channel, vectors in made.items():
            turned = (vectors[mine] - mean) @ matrix
            out[channel][mine] = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    return out


class Trials:
    """Distances of windows from references of 1 or 5 windows, with the speakers of both."""

    def __init__(self, speakers: np.ndarray) -> None:
        self.who = np.unique(speakers, return_inverse=True)[1]
        self._segments = [np.flatnonzero(self.who == k) for k in range(self.who.max() + 1)]
        self.repeated = sum(len(own) > 1 for own in self._segments)
        self.total = len(self._segments)

    def same(
        self, new: np.ndarray, old: np.ndarray, n: int, rng: np.random.Generator
    ) -> list[tuple[float, int]]:
        """Return (distance, speaker) of pairs of segments of one speaker; each speaker as often."""
        out = []
        for k, own in enumerate(self._segments):
            if len(own) <= n:
                continue
            for _ in range(PAIRS_A_SPEAKER):
                at, *rest = rng.choice(own, n + 1, replace=False)
                out.append((distance(new[at], old[rest]), k))
        return out

    def other(
        self, new: np.ndarray, old: np.ndarray, n: int, rng: np.random.Generator
    ) -> list[tuple[float, int]]:
        """Return (distance, speaker of the reference) of pairs of two speakers."""
        out = []
        enough = [k for k, own in enumerate(self._segments) if len(own) >= n]
        for k in enough:
            for _ in range(PAIRS_A_SPEAKER):
                # of the same half: their vectors were compensated alike
                someone = int(rng.choice([j for j in range(k % 2, self.total, 2) if j != k]))
                at = int(rng.choice(self._segments[someone]))
                rest = rng.choice(self._segments[k], n, replace=False)
                out.append((distance(new[at], old[rest]), k))
        return out


def distance(new: np.ndarray, old: np.ndarray) -> float:
    """Return 1 - cosine of a vector and the mean of others."""
    mean = old.mean(axis=0)
    return float(1 - new @ mean / np.linalg.norm(mean))


def eer(same: np.ndarray, other: np.ndarray) -> float:
    """Return the equal error rate of distances."""
    at = np.sort(np.concatenate([same, other]))
    missed = 1 - np.searchsorted(np.sort(same), at, side="right") / len(same)
    passed = np.searchsorted(np.sort(other), at, side="right") / len(other)
    best = int(np.argmin(np.abs(missed - passed)))
    return float((missed[best] + passed[best]) / 2)


def cllr(same: np.ndarray, other: np.ndarray) -> float:
    """Return Cllr in bits of natural llr."""
    return float(np.mean(np.logaddexp(0, same)) + np.mean(np.logaddexp(0, -other))) / (2 * np.log(2))


def interval(same: list[tuple[float, int]], other: list[tuple[float, int]]) -> list[float]:
    """Return EER with its 95 % bootstrap interval over speakers."""
    values = [np.array(part) for part in (same, other)]
    rng, found = np.random.default_rng(7), []
    by_speaker = [{k: part[part[:, 1] == k, 0] for k in np.unique(part[:, 1])} for part in values]
    for _ in range(300):
        drawn = [rng.choice(sorted(groups), len(groups)) for groups in by_speaker]
        found.append(
            eer(*(np.concatenate([g[k] for k in d]) for g, d in zip(by_speaker, drawn, strict=True)))
        )
    low, high = np.quantile(found, [0.025, 0.975])
    return [eer(values[0][:, 0], values[1][:, 0]), float(low), float(high)]


def calibrated(
    trials: Trials, made: dict[str, np.ndarray], pairs: tuple[tuple[str, str], ...], sizes: tuple[int, ...]
) -> dict[str, float]:
    """Fit llr = a * distance + b; Cllr is of speakers the fit has not seen (two halves)."""
    rng = np.random.default_rng(11)
    same: list[tuple[float, int]] = []
    other: list[tuple[float, int]] = []
    for n in sizes:
        for new, old in pairs:
            same += trials.same(made[new], made[old], n, rng)
            other += trials.other(made[new], made[old], n, rng)
    s, o = np.array(same), np.array(other)

    def fit(s: np.ndarray, o: np.ndarray) -> tuple[float, float]:
        values = np.concatenate([s[:, 0], o[:, 0]]).astype(np.float32)
        return fit_logistic(values, np.arange(len(values)) >= len(s))

    costs = []
    for half in (0, 1):
        a, b = fit(s[s[:, 1] % 2 == half], o[o[:, 1] % 2 == half])
        kept = [part[part[:, 1] % 2 != half, 0] * a + b for part in (s, o)]
        costs.append(cllr(*kept))
    a, b = fit(s, o)
    # log of the number of speakers with more than one segment: more than that they cannot carry
    return {"a": a, "b": b, "limit_llr": float(np.log(trials.repeated)), "cllr_bits": float(np.mean(costs))}


def main() -> None:
    """Print the table and write the card."""
    speakers, plain = embeddings()
    trials, lines = Trials(speakers), []
    made = crossed(plain, trials.who)
    model = compensated(onnx.load(base_file()), *compensation(plain, trials.who))
    target = HERE.parent / "model.onnx"
    target.write_bytes(model.SerializeToString(deterministic=True))
    for new, old in TABLE:
        rng, row = np.random.default_rng(3), []
        for n in (1, 5):
            row.append(
                interval(
                    trials.same(made[new], made[old], n, rng), trials.other(made[new], made[old], n, rng)
                )
            )
        cells = [f"[{', '.join(f'{x:.3f}' for x in values)}]" for values in row]
        lines.append(f"{new}_against_{old} = {{ s4 = {cells[0]}, s20 = {cells[1]} }}")
    print("\n".join(lines))
    values: dict[str, object] = {
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "segments": len(speakers),
        "speakers": trials.total,
        "repeated": trials.repeated,
        "eer": "\n".join(lines),
    }
    for signal, pairs, sizes in (("speaker_change", CHANGE, (3, 5)), ("voice_match", MATCH, (3, 5))):
        found = calibrated(trials, made, pairs, sizes)
        values |= {f"{signal}_{key}": f"{value:.6f}" for key, value in found.items()}
        values |= {f"{signal}_spoof": SHARES[signal][0], f"{signal}_bona": SHARES[signal][1]}
    changes = HERE / "changes.toml"
    values["changes"] = changes.read_text().strip() if changes.is_file() else ""
    text = Template((HERE / "card.template.toml").read_text()).substitute(values)
    (HERE.parent / "card.toml").write_text(text)


if __name__ == "__main__":
    main()
