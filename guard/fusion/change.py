"""What a rise of the scores within one call is worth, beside their height.

Whoever scores high all along may be a voice the detector does not know. Whoever spoke for half a minute
and now scores higher by more than one voice wanders was replaced. With the mean llr of the windows before
a moment and after it, their difference d has variance ``v = window_var * (1 / n_before + 1 / n_after)``
about 0 while one person speaks over one line, and ``v + 2 * call_var`` where another genuine person, room
or microphone took over, both as normal densities. Then

    ratio = N(d; 0, v) / N(d; 0, v + 2 * call_var)
    llr   = ln(1 - turned + turned / (innocent + (1 - innocent) * ratio)),   at least 0

is what the rise adds: ``innocent`` is how often a genuine call has such a change, ``turned`` how many
attacks begin in mid-call. So it is never more than ``ln(1 - turned + turned / innocent)``, and a fall adds
nothing. The random-effects model is that of ``guard.fusion.evidence``; the mixture over whether and what
changed is that of Bayesian change detection (Shiryaev, Theory of Probability and Its Applications 8, 1963).
"""

from __future__ import annotations

import math

from guard.fusion.config import ChangeConfig


def change_llr(rise_llr: float, before_units: float, after_units: float, config: ChangeConfig) -> float:
    """Return the natural llr that a rise of the mean adds, in [0, ``config.most_llr``].

    Args:
        rise_llr: mean llr after the moment less the mean before it.
        before_units: independent windows before it, above 0.
        after_units: independent windows after it, above 0.
    """
    same = config.window_var * (1 / before_units + 1 / after_units)
    other = same + 2 * config.call_var
    rise = max(0.0, rise_llr)
    ratio = math.sqrt(other / same) * math.exp(-(rise**2) / 2 * (1 / same - 1 / other))
    turned, innocent = config.turned, config.innocent
    return max(0.0, math.log(1 - turned + turned / (innocent + (1 - innocent) * ratio)))
