"""Write models/voice_spoof/model.onnx (weights stored as float16 or int8, computed in float32) and its card.

python export.py           reads CACHE/tuned, CACHE/cnn, CACHE/gates and CACHE/calibration.json
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from string import Template

import torch
from clips import licences, training_items
from cnn import SHIPPED, load_net
from cnn_net import FineSpectrum
from data import cache, permissive_build, training_clips
from folds import FOLDS
from gate_heads import ContentHead, QualityHead
from head import Ensemble, segment_features
from heads import load_final
from measured import of_model
from mixture import MixedScore, Mixture, Standard
from onnx_export import small, write_onnx
from torch import Tensor, nn
from trunk import Trunk, load_trunk

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "voice_spoof"
VERSION = "0.6.1"
OUTPUTS = ["score", "timeline", "content", "quality"]
SECOND_LIMIT = math.log(20)
# DNSMOS overall; under it words are hardly understood (ITU-T P.835: 1 is bad, 2 poor)
MIN_QUALITY = 1.2


class Net(nn.Module):
    """Samples (B, 64000) to scores (B,), of half seconds (B, 8), content logits (B, 4), quality (B,)."""

    def __init__(
        self, trunk: Trunk, heads: Ensemble, mixed: MixedScore, content: nn.Module, quality: nn.Module
    ) -> None:
        super().__init__()
        self.trunk, self.heads, self.mixed = trunk, heads, mixed
        self.front, self.content, self.quality = FineSpectrum(), content, quality

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        features = segment_features(self.trunk(audio))
        score, second = self.heads(features)
        score = self.mixed(score, self.front(audio))
        return score, second, self.content(features), self.quality(features)


def load_mixed() -> MixedScore:
    """Return the convolutional nets of all folds, mixed with the heads as the calibration was fitted."""
    nets = [load_net(SHIPPED, k).to(memory_format=torch.contiguous_format) for k in range(FOLDS)]
    parts = json.loads((cache() / "calibration.json").read_text())["mixture"]
    return MixedScore(nets, Mixture(Standard(**parts["heads"]), Standard(**parts["nets"]))).eval()


def load_gates() -> tuple[nn.Module, nn.Module, str]:
    """Return the heads of content and quality, and the card's [gates] table."""
    folder, trunk = cache() / "gates", "frozen"
    heads = []
    for name, head in (("content", ContentHead()), ("quality", QualityHead())):
        head.load_state_dict(torch.load(folder / f"{name}-{trunk}.pt", weights_only=True))
        heads.append(head.eval())
    least = json.loads((folder / f"report-{trunk}.json").read_text())["threshold_one_voice"]
    return heads[0], heads[1], f"min_one_voice = {least:.4f}\nmin_quality = {MIN_QUALITY}\n"


def bins_table(report: dict) -> str:
    """Return the calibration of every bin that had windows of its own, as TOML."""
    bins = {name: pair for name, pair in report["bins"].items() if name not in ("pooled", "default")}
    count = report["windows_of_bins"]
    return "\n".join(
        f'[[calibration.bins]]\n# {count[name]} held-out windows\nname = "{name}"\na = {a:.6f}\nb = {b:.6f}\n'
        for name, (a, b) in sorted(bins.items())
    )


def card(path: Path, gates: str) -> str:
    """Return the card, with what ``guard eval voice`` measured (measured.toml) if that was this very file."""
    report = json.loads((cache() / "calibration.json").read_text())
    items = training_items()
    unstated = (
        []
        if permissive_build()
        else sorted({c.source for c in training_clips() if c.folder == "train_extra"})
    )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    names = {s: sorted({i.group for i in items if i.spoof == s}) for s in (False, True)}
    a, b = report["bins"].get("default", report["bins"]["pooled"])
    return Template((HERE / "card.template.toml").read_text()).substitute(
        first="Trained also on clips whose licence is not stated (see sources_without_stated_licence)."
        if unstated
        else "Trained on clips of stated licences only, permissive and copyleft (listed under [data]).",
        version=VERSION,
        sha256=sha256,
        a=f"{a:.6f}",
        b=f"{b:.6f}",
        limit=f"{math.log(sum(not i.spoof for i in items)):.3f}",
        bins=bins_table(report),
        second_a=f"{report['second'][0]:.6f}",
        second_b=f"{report['second'][1]:.6f}",
        second_limit=f"{SECOND_LIMIT:.3f}",
        gates=gates,
        clips=len(items),
        windows=report["windows"],
        made=json.dumps(sorted({i.set for i in items} - {"real"})),
        engines=json.dumps(names[True], ensure_ascii=False, indent=2),
        sources=json.dumps(names[False], ensure_ascii=False, indent=2),
        unstated=json.dumps(unstated),
        bona_fide_licences=json.dumps(licences(items, spoof=False), ensure_ascii=False, indent=2),
        spoof_licences=json.dumps(licences(items, spoof=True), ensure_ascii=False, indent=2),
        eer=f"{report['held_out_eer']:.3f}",
        cllr=f"{report['held_out_cllr']:.3f}",
        cllr_min=f"{report['held_out_min_cllr']:.3f}",
        measured=of_model(HERE / "measured.toml", sha256),
    )


def main() -> None:
    torch.set_num_threads(1)
    content, quality, gates = load_gates()
    path = OUT / "model.onnx"
    trunk = load_trunk(cache() / "whisper-base.bin")
    net = Net(trunk, load_final(), load_mixed(), content, quality).eval()
    write_onnx(net, path, OUTPUTS, tolerance=2e-2, shrink=small)
    (OUT / "card.toml").write_text(card(path, gates))


if __name__ == "__main__":
    main()
