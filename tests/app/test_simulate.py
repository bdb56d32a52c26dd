"""guard simulate and guard policy price, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guard.app.price import Traffic
from guard.app.simulate import drawing
from guard.cli import app
from guard.errors import ConfigError
from guard.evaluation.exact import upper_rate

QUICK = ["--calls", "6", "--length-s", "60", "--json"]
PRICE = ["policy", "price", "--profile", "meeting", "--calls-per-day", "500", "--fraud-rate", "0.01"]


def run(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_recorded_calls_are_replayed_as_calls_would_be_judged(tmp_path: Path) -> None:
    def call(name: str, label: str, llr: float) -> str:
        scores = [
            {"signal": "voice_spoof", "start_s": t - 4, "end_s": t, "llr": llr} for t in range(4, 65, 2)
        ]
        return json.dumps({"call": name, "label": label, "length_s": 64, "scores": scores})

    path = tmp_path / "calls.jsonl"
    path.write_text("\n".join([call("a", "spoof", 4.0), call("b", "bonafide", -2.0)]))
    found = run("simulate", str(path), "--json")
    spoof, genuine = found["outcomes"]
    assert spoof["red_s"] is not None and genuine["amber_s"] is None
    assert genuine["last_state"] == "bona_fide" and found["source"] == "recorded"


def test_the_profile_decides_whether_a_voice_alone_turns_red(tmp_path: Path) -> None:
    scores = [{"signal": "voice_spoof", "start_s": t - 4, "end_s": t, "llr": 4.0} for t in range(4, 65, 2)]
    path = tmp_path / "call.jsonl"
    path.write_text(json.dumps({"call": "a", "label": "spoof", "scores": scores}))
    for profile, red in (("meeting", True), ("kz-ardfm", False)):
        (outcome,) = run("simulate", str(path), "--profile", profile, "--json")["outcomes"]
        assert (outcome["red_s"] is not None) == red and outcome["amber_s"] is not None


def test_simulated_calls_say_so_and_are_the_same_for_a_seed() -> None:
    one, same, other = (
        run("simulate", *QUICK),
        run("simulate", *QUICK),
        run("simulate", *QUICK, "--seed", "2"),
    )
    assert one == same != other
    assert str(one["source"]).startswith("simulated")
    assert one["signals"]["voice_spoof"]["genuine_sources"] >= 10


def test_attacks_on_voice_face_and_both_take_turns_and_are_told_apart() -> None:
    found = run("simulate", *QUICK)
    assert found["attacks_in_turn"] == ["voice", "face", "both"]
    told = [call["attack"] for call in found["outcomes"] if call["label"] == "spoof"]
    assert told == ["voice", "face", "both"] * 2
    parts = found["attacks"]["by_attack"]
    assert {name: part["calls"] for name, part in parts.items()} == {"both": 2, "face": 2, "voice": 2}
    assert sum(part["amber"]["detected"] for part in parts.values()) == found["attacks"]["amber"]["detected"]


def test_the_budget_stands_beside_the_measured_limit_in_the_report_and_for_people() -> None:
    found = run("simulate", *QUICK)
    budget = found["genuine"]["budget"]
    for colour, per_hour in (("amber", 0.2), ("red", 0.02)):
        events, hours = found["genuine"][f"{colour}_calls"], found["genuine"]["hours"]
        assert budget[colour]["per_hour"] == per_hour
        assert budget[colour]["upper_95_per_hour"] == pytest.approx(upper_rate(events, hours), abs=1e-4)
        assert budget[colour]["answer"] == ("over" if events / hours > per_hour else "not_shown")
    shown = CliRunner().invoke(app, ["simulate", *QUICK[:-1]], catch_exceptions=False).stdout
    assert "budget 0.2, measured upper" in shown  # the table may break the line after it
    assert "simulated clips of held-out faces" in shown
    assert "62 genuine sources" in shown


def test_a_price_names_what_it_rests_on_and_grows_with_the_calls() -> None:
    found = run(*PRICE, *QUICK)
    alarms = found["alarms"]["amber_or_red"]
    assert str(found["source"]).startswith("simulated")
    assert found["simulated_calls"] == {"genuine": 6, "attacked": 6}
    daily, share = alarms["false_alarms_per_day"], alarms["false_alarm_share_of_calls"]
    assert daily["high"] == pytest.approx(share["high"] * 495, abs=0.01)
    weekly = alarms["false_alarms_per_agent_week"]
    assert weekly["high"] == pytest.approx(share["high"] * 40 * 5 * 0.99, abs=0.01)
    rows = found["amber_at_other_thresholds"]
    noticed = [row["attacks_noticed"]["value"] for row in rows]
    assert noticed == sorted(noticed, reverse=True)


def test_tables_are_for_people() -> None:
    for arguments in (["simulate", *QUICK[:-1]], [*PRICE, *QUICK[:-1]]):
        shown = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert shown.exit_code == 0 and "simulated" in shown.stdout


@pytest.mark.parametrize(
    "wrong",
    [
        (0, 0.1, 40),
        (500, 0, 40),
        (500, 1, 40),
        (500, 0.1, 0),
        (float("nan"), 0.1, 40),
        (float("inf"), 0.1, 40),
        (500, 0.1, float("inf")),
        (1e308, 0.1, 40),
        (500, float("nan"), 40),
    ],
)
def test_impossible_traffic_is_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError) as refused:
        Traffic(*wrong)
    assert refused.value.code == "price_traffic"


def test_a_switch_after_the_end_and_models_without_scores_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        run("simulate", "--length-s", "10", "--switch-s", "11", "--json")
    assert refused.value.code == "simulate_calls"


@pytest.mark.parametrize(
    ("length_s", "switch_s", "answered"),
    [(float("nan"), None, 0.5), (60.0, float("nan"), 0.5), (60.0, None, float("nan"))],
)
def test_simulated_calls_are_made_of_numbers(
    length_s: float, switch_s: float | None, answered: float
) -> None:
    with pytest.raises(ConfigError) as refused:
        drawing(1, 0, length_s=length_s, switch_s=switch_s, answered=answered)
    assert refused.value.code == "simulate_calls"
