"""Settings: file and environment, and what is refused."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from guard.config import Settings, WebhookSettings, load_settings
from guard.errors import ConfigError
from guard.policy.profile import PROFILES, load_profile
from guard.types import Signal

SAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "guard.sample.toml"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("GUARD_"):
            monkeypatch.delenv(name)


def write(folder: Path, text: str) -> Path:
    path = folder / "guard.toml"
    path.write_text(text)
    return path


def keys(value: object, path: str = "") -> Iterator[str]:
    """Yield the dotted names of all settings below a section."""
    assert is_dataclass(value)
    for field in fields(value):
        name = f"{path}.{field.name}"
        inner = getattr(value, field.name)
        if is_dataclass(inner):
            yield from keys(inner, name)
        else:
            yield name


def test_the_sample_equals_the_defaults() -> None:
    assert load_settings(SAMPLE) == load_settings()


def test_the_sample_names_every_setting_and_explains_it() -> None:
    lines = SAMPLE.read_text().splitlines()
    named: set[str] = set()
    section = ""
    for number, line in enumerate(lines):
        if match := re.match(r"\[([\w.]+)\]", line):
            section = match[1]
        elif match := re.match(r"(?:# )?(\w+) = ", line):
            named.add(f"{section}.{match[1]}".lstrip("."))
            assert section == "fusion.weights" or lines[number - 1].startswith("# "), f"{line} has no comment"
    settings = load_settings()
    wanted = {"profile", "language"}
    for name in Settings.model_fields:
        if name not in wanted:
            wanted |= set(keys(getattr(settings, name), name))
    wanted -= {"sessions.profile", "api.ice_servers", "rooms.ice_servers", "fusion.weights"}
    wanted -= {"fusion.call_shares"}
    wanted = {key for key in wanted if not key.startswith("fusion.thresholds")}
    wanted |= {f"fusion.weights.{signal.value}" for signal in Signal}
    wanted |= {f"fusion.call_shares.{signal.value}" for signal in settings.fusion.call_shares}
    assert named == wanted


def test_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(
        tmp_path, "[server]\nport = 9000\nhost = '127.0.0.1'\n[analysis.face.track]\nmax_faces = 3\n"
    )
    monkeypatch.setenv("GUARD_SERVER__PORT", "9443")
    monkeypatch.setenv("GUARD_RELAY__ICE_SERVERS", '[{"url": "stun:stun.bank.kz"}]')
    monkeypatch.setenv("GUARD_ANALYSIS__AUDIO__HOP_S", "3")
    monkeypatch.setenv("GUARD_SERVER__DATA_DIR", "")
    settings = load_settings(path)
    assert (settings.server.port, settings.server.host) == (9443, "127.0.0.1")
    assert settings.analysis.face.track.max_faces == 3
    assert settings.analysis.audio.hop_s == 3.0
    assert settings.rooms.ice_servers == settings.api.ice_servers == ({"urls": "stun:stun.bank.kz"},)
    assert settings.server.data_dir == Path("data")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("[server]\nprot = 1\n", "config_key", "server.prot: unknown key"),
        ("[servr]\n", "config_key", "servr: unknown key"),
        ("[analysis.face.track]\nmax_face = 1\n", "config_key", "analysis.face.track.max_face: unknown key"),
        ("[server]\nport = 'x'\n", "config_value", "server.port: Input should be a valid integer"),
        ("[server]\nport = 99999\n", "config_value", "server.port: 99999"),
        ("[server]\ntls_cert = 'a.pem'\n", "config_value", "server.tls_cert: give tls_cert and tls_key"),
        ("[alerts]\nrepeat_s = 100.0\n", "config_value", "alerts: needs"),
        ("[analysis.face]\nrate_hz = 0\n", "config_value", "analysis.face: rate_hz"),
        ("[fusion.thresholds]\nred_llr = 1.0\n", "config_key", "fusion.thresholds: is set by the profile"),
        ("[sessions]\nprofile = 'meeting'\n", "config_key", "sessions.profile: is set by profile"),
        ("[log]\nlevel = 'loud'\n", "config_value", "log.level"),
        ("[webhook]\nurl = 'https://bank.kz/hook'\n", "config_value", "webhook.secret_file: missing"),
        ("[webhook]\nurl = 'ftp://x'\n", "config_value", "webhook.url"),
        ("[relay]\nmax_peers = 0\n", "relay_config", "relay.max_peers: 0"),
        ("[relay]\naddresses = ['x']\n", "relay_config", "relay.addresses: 'x'"),
        ("[relay]\npeer_timeout_s = nan\n", "config_value", "relay.peer_timeout_s: nan is not within"),
        ("[sessions]\nunused_s = inf\n", "config_value", "sessions.unused_s: inf is not within"),
        ("[fusion.weights]\nface_ring = -1\n", "config_value", "fusion.weights.face_ring: -1 is not within"),
        ("[analysis.worker]\nbackoff_max_s = 0\n", "config_value", "analysis.worker.backoff_max_s"),
        ("[rooms]\nmessage_rate_hz = 0\n", "config_invalid", "rooms.message_rate_hz"),
        ("[api]\nheartbeat_s = 0\n", "config_invalid", "api.heartbeat_s"),
        ("[connections]\nnegotiate_timeout_s = 0\n", "config_invalid", "connections.negotiate_timeout_s"),
        ("profile = 'nope'\n", "profile_unknown", "'nope'"),
        ("language = 'de'\n", "config_value", "language"),
        ("= 1", "config_file", "guard.toml: not valid TOML"),
        ("a = " + "[" * 50_000, "config_file", "guard.toml: not valid TOML"),
        ("[server]\nport = " + "9" * 5000, "config_file", "guard.toml: not valid TOML"),
        (
            "profile = 'kz-ardfm'\n[checks.course]\nattempts = 4\n",
            "config_value",
            "checks.course.attempts: 4: by the rules of the profile kz-ardfm the third",
        ),
        ("[checks.course]\nattempts = 99\n", "config_value", "99 attempts of 3 commands are more than"),
        ("[checks.course]\ncommands = 14\nmost_commands = 14\n", "config_value", "3 attempts of 14 commands"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path: Path, text: str, code: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text))
    assert caught.value.code == code
    assert words in caught.value.message


def own_profile(folder: Path, **thresholds: float | bool) -> Path:
    """Write a profile of the site's own, contact-centre with other thresholds."""
    text = (PROFILES / "contact-centre.toml").read_text()
    for key, value in {"name": "own", **thresholds}.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {json.dumps(value)}", text)
    words = [f'[advice.{s}]\nkk = "k"\nru = "r"\nen = "e"\n' for s in ("suspect", "spoof", "detector_down")]
    path = folder / "own.toml"
    path.write_text("\n".join([text, *words]))
    return path


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("amber_llr", {"amber_llr": 6.4, "red_llr": 6.6, "voice_alone_red": False}),
        ("red_llr", {"red_llr": 6.4, "voice_alone_red": True}),
        ("amber_llr", {"amber_llr": 11.0, "red_llr": 12.0, "voice_alone_red": True}),
        (None, {"red_llr": 6.4, "voice_alone_red": False}),
        (None, {"amber_llr": 4.3, "red_llr": 6.0, "voice_alone_red": True}),
    ],
)
def test_thresholds_that_no_evidence_comes_to_are_refused(
    tmp_path: Path, key: str | None, found: dict[str, float | bool]
) -> None:
    path = own_profile(tmp_path, **found)
    settings = write(tmp_path, f"profile = {json.dumps(str(path))}\n")
    if key is None:
        assert load_settings(settings).fusion.thresholds.red_llr == found["red_llr"]
        return
    with pytest.raises(ConfigError) as caught:
        load_settings(settings)
    assert caught.value.code == "profile_value"
    assert caught.value.message.startswith(f"own.toml: thresholds.{key}: {found[key]:g} is never reached: ")
    assert "voice_spoof alone comes to 6.31 at most" in caught.value.message


def test_what_is_reached_follows_the_settings_of_the_decision_engine(tmp_path: Path) -> None:
    profile = f"profile = {json.dumps(str(own_profile(tmp_path, red_llr=5.6, amber_llr=4.2)))}\n"
    load_settings(write(tmp_path, profile))
    with pytest.raises(ConfigError, match=r"own\.toml: thresholds\.red_llr: 5\.6 .* comes to 5\.00 at most"):
        load_settings(write(tmp_path, profile + "[fusion.voice]\ncap_llr = 5.0\n"))
    with pytest.raises(ConfigError, match=r"red_llr: 5\.6 .* comes to 4\.73 at most"):
        load_settings(write(tmp_path, profile + "[fusion.call_shares]\nvoice_spoof = 0.835\n"))


def test_settings_without_an_end_are_not_read_to_it() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(Path("/dev/zero"))
    assert caught.value.code == "config_file"
    assert "larger than 1 MiB" in caught.value.message


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("GUARD_SERVER__PROT", "1", "server.prot: unknown key"),
        ("GUARD_SERVR", "1", "servr: unknown key"),
        ("GUARD_RELAY__ADDRESSES", "[1", "GUARD_RELAY__ADDRESSES: not valid JSON"),
        ("GUARD_SERVER", "x", "set twice"),
        ("GUARD_RELAY__PEER_TIMEOUT_S", "nan", "relay.peer_timeout_s: nan is not within"),
    ],
)
def test_wrong_environment_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv("GUARD_SERVER__PORT", "8443")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=re.escape(words)):
        load_settings()


def test_other_programs_variables_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GUARD_DATA", "GUARD_CACHE", "GUARD_PERMISSIVE_ONLY"):
        monkeypatch.setenv(name, "1")  # the recipes' own, exported by who trains and measures
    monkeypatch.setenv("GUARD_REQUIRE_PROMTOOL", "1")
    monkeypatch.setenv("GUARD_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("GUARD_PORT_8443_TCP", "tcp://10.0.0.1:8443")
    assert load_settings().server.port == 8443


def test_thresholds_come_from_the_profile(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "profile = 'kz-ardfm'\n"))
    assert settings.fusion.thresholds.voice_alone_red is False
    assert settings.fusion.thresholds.red_llr == load_profile("kz-ardfm").thresholds.red_llr
    assert settings.sessions.profile == "kz-ardfm"


def test_naming_one_weight_keeps_the_others(tmp_path: Path) -> None:
    weights = load_settings(write(tmp_path, "[fusion.weights]\nvoice_spoof = 0.5\n")).fusion.weights
    assert weights[Signal.VOICE_SPOOF] == 0.5
    assert weights[Signal.FACE_FRAME] == load_settings().fusion.weights[Signal.FACE_FRAME]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name a readable file"):
        load_settings(tmp_path / "none.toml")


def test_the_webhook_secret_is_read_from_its_file_and_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("topsecret\n")
    assert WebhookSettings(url="https://x", secret_file=secret).key() == b"topsecret"
    assert "topsecret" not in repr(WebhookSettings(url="https://x", secret="topsecret"))
    secret.write_text("")
    with pytest.raises(ConfigError, match="empty"):
        WebhookSettings(url="https://x", secret_file=secret).key()
    with pytest.raises(ConfigError, match="readable"):
        WebhookSettings(url="https://x", secret_file=tmp_path / "none").key()


def test_the_sample_is_valid_toml_on_its_own() -> None:
    assert set(tomllib.loads(SAMPLE.read_text())) >= {"profile", "server", "alerts"}
