"""The main job, whole: ``guard demo --json`` through the real relay, with the bundled clips."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

KEYS = {
    "v",
    "ok",
    "reason",
    "duration_s",
    "switches_s",
    "face_source",
    "participants",
    "alerts",
    "delays",
    "relay",
    "models",
}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_demo_warns_after_the_switch_and_turns_nothing_genuine_red() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "guard", "demo", "--json"], capture_output=True, text=True, check=False
    )
    result = json.loads(done.stdout)
    assert done.returncode == 0, result["reason"]
    assert set(result) == KEYS
    switch_s = result["switches_s"][0]
    states = result["participants"]["customer"]["states"]
    genuine = [s["state"] for s in states if s["t_s"] < switch_s]
    assert "bona_fide" in genuine
    assert not {"suspect", "spoof"} & set(genuine)
    alert = result["alerts"][0]
    assert alert["recipient"] == "agent"
    assert alert["received_t_s"] > switch_s
    assert alert["acked_t_s"] > alert["received_t_s"]
    assert all(alert["participant"] == "customer" for alert in result["alerts"])
    assert result["delays"]["first_voice_score_s"] <= 5.0
    assert result["delays"]["first_face_score_s"] <= 4.0
    assert result["delays"]["decision_to_received_ms"]["p95"] <= 300.0
    assert result["relay"]["packets_forwarded"] > 1000
