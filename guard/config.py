"""Loads the settings: ``guard.toml``, then ``GUARD_*`` from the environment on top.

Only composes: every section is the ``XConfig`` that stands beside its stage and checks
itself. In the environment two underscores go one level down:
``GUARD_SERVER__PORT=9443``. Unknown keys and wrong values are refused by name.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from guard.api.services import ApiConfig
from guard.challenge.outputs import CheckConfig
from guard.codec.receive import ReceiveConfig
from guard.errors import ConfigError
from guard.fusion.config import FusionConfig, Thresholds
from guard.inference.slots import SlotConfig
from guard.log import LogConfig
from guard.policy.config import AlertsConfig
from guard.policy.profile import Profile, load_profile
from guard.policy.texts import load_texts
from guard.relay.config import IceServer, RelayConfig
from guard.signalling.connections import ConnectionsConfig
from guard.signalling.rooms import RoomsConfig
from guard.signalling.sessions import SessionsConfig
from guard.types import Signal
from guard.windows.audio import AudioWindowConfig
from guard.windows.faces import FaceWindowConfig
from guard.workers.supervisor import WorkerConfig

_PREFIX = "GUARD_"
_MAX_FILE_BYTES = 1 << 20
# switches of guard's own test runs and recipes, and what Kubernetes sets for a service called "guard"
_FOREIGN = re.compile(r"GUARD_(REQUIRE_\w+|DATA|CACHE|PERMISSIVE_ONLY|SERVICE_(HOST|PORT)\w*|PORT(_\w+)?)")
# no second, byte or count of any setting is larger
_LARGEST = 1e9
# failed attempts of a check by the rules kz-ardfm follows (docs/challenges.md)
MOST_ATTEMPTS = 3
# filled in from elsewhere, so that nothing can be said twice: (section, key) -> where
_DERIVED = {
    ("sessions", "profile"): "profile",
    ("api", "ice_servers"): "relay.ice_servers",
    ("rooms", "ice_servers"): "relay.ice_servers",
    ("fusion", "thresholds"): "the profile's table [thresholds]",
}


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The HTTPS listener.

    Args:
        host: address to listen on.
        port: TCP port.
        tls: serve https; without it browsers give no camera except on loopback.
        tls_cert: PEM certificate chain; with ``tls_key``. Neither: a self-signed one is made.
        tls_key: PEM private key.
        data_dir: keys, certificates and records.
    """

    host: str = "0.0.0.0"
    port: int = 8443
    tls: bool = True
    tls_cert: Path | None = None
    tls_key: Path | None = None
    data_dir: Path = Path("data")

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError("config_value", f"server.port: {self.port} is no TCP port; use 0 to 65535")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigError("config_value", "server.tls_cert: give tls_cert and tls_key, or neither")


@dataclass(frozen=True, slots=True)
class AnalysisConfig:
    """The analysis process.

    Args:
        enabled: without it every participant stays detector_down.
        tap_packets: encoded packets that wait for the analysis process; then the oldest go.
        models_dir: folder of your own models, laid over the shipped ones; empty takes the shipped ones only.
        lanes: how windows wait for their model.
        receive: reception of the tapped packets.
        audio: windows of voices.
        face: looks at faces.
        worker: supervision and restart.
    """

    enabled: bool = True
    tap_packets: int = 8192
    models_dir: Path | None = None
    lanes: SlotConfig = field(default_factory=SlotConfig)
    receive: ReceiveConfig = field(default_factory=ReceiveConfig)
    audio: AudioWindowConfig = field(default_factory=AudioWindowConfig)
    face: FaceWindowConfig = field(default_factory=FaceWindowConfig)
    worker: WorkerConfig = field(default_factory=WorkerConfig)

    def __post_init__(self) -> None:
        if self.tap_packets < 64:
            raise ConfigError(
                "config_value", f"analysis.tap_packets: {self.tap_packets} is below 64; give 64 or more"
            )


@dataclass(frozen=True, slots=True)
class ChecksConfig:
    """The active checks.

    Args:
        recogniser: whether spoken words are written down and compared; needs the extra ``words``.
        recogniser_dir: folder of its files; empty takes those of the installed packages.
        course: how a check goes.
    """

    recogniser: bool = False
    recogniser_dir: Path | None = None
    course: CheckConfig = field(default_factory=CheckConfig)


@dataclass(frozen=True, slots=True)
class DrillsConfig:
    """The drills of training calls.

    Args:
        clip: file of your own labelled synthetic voice and face for the detectors; empty takes the shipped.
    """

    clip: Path | None = None


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where alerts are sent as signed HTTP POSTs.

    Args:
        url: empty sends none.
        secret: key of the signature; better given by file or environment.
        secret_file: file that holds the key; wins over nothing, excludes ``secret``.
        timeout_s: for one attempt.
        attempts: before the delivery counts as failed.
    """

    url: str = ""
    secret: str = field(default="", repr=False)
    secret_file: Path | None = None
    timeout_s: float = 5.0
    attempts: int = 3

    def __post_init__(self) -> None:
        if self.url and not self.url.startswith(("https://", "http://")):
            raise ConfigError("config_value", "webhook.url: must start with https:// or http://")
        if self.secret and self.secret_file is not None:
            raise ConfigError("config_value", "webhook.secret: give secret or secret_file, not both")
        if self.url and not self.secret and self.secret_file is None:
            raise ConfigError("config_value", "webhook.secret_file: missing; guard sends no unsigned alerts")
        if self.timeout_s <= 0 or self.attempts < 1:
            raise ConfigError("config_value", "webhook.timeout_s and webhook.attempts must be above zero")

    def key(self) -> bytes:
        """Return the signing key.

        Raises:
            ConfigError: the secret's file cannot be read or is empty.
        """
        if self.secret_file is None:
            return self.secret.encode()
        try:
            key = self.secret_file.read_bytes().strip()
        except OSError as error:
            reason = error.strerror or "unreadable"
            raise ConfigError(
                "config_value", f"webhook.secret_file: {reason}; name a readable file"
            ) from None
        if not key:
            raise ConfigError("config_value", "webhook.secret_file: the file is empty; put the key into it")
        return key


class EnvironmentSource(PydanticBaseSettingsSource):
    """Reads ``GUARD_SECTION__KEY``; lists and tables are JSON, an empty value counts as unset.

    pydantic-settings' own source passes over names it does not know; here a misspelt name
    must be refused like a misspelt key of the file.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return one top-level value; part of the base class' interface."""
        del field
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the nested table of all settings in the environment."""
        table: dict[str, Any] = {}
        for name, text in sorted(os.environ.items()):
            if not name.startswith(_PREFIX) or not text or _FOREIGN.fullmatch(name):
                continue
            *sections, key = name.removeprefix(_PREFIX).lower().split("__")
            inner = table
            for section in sections:
                inner = inner.setdefault(section, {})
                if not isinstance(inner, dict):
                    raise ConfigError("config_key", f"{name}: {section} is set twice; keep one of them")
            inner[key] = _from_text(name, text)
        return table


class Settings(BaseSettings):
    """Every setting of guard; the commented list is deploy/guard.sample.toml."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    profile: str = "meeting"
    language: Literal["kk", "ru", "en"] = "ru"
    server: ServerConfig = ServerConfig()
    relay: RelayConfig = RelayConfig()
    sessions: SessionsConfig = SessionsConfig()
    connections: ConnectionsConfig = ConnectionsConfig()
    rooms: RoomsConfig = RoomsConfig()
    api: ApiConfig = ApiConfig()
    analysis: AnalysisConfig = AnalysisConfig()
    fusion: FusionConfig = FusionConfig()
    alerts: AlertsConfig = AlertsConfig()
    checks: ChecksConfig = ChecksConfig()
    drills: DrillsConfig = DrillsConfig()
    webhook: WebhookSettings = WebhookSettings()
    log: LogConfig = LogConfig()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file, which comes in as initial values."""
        del env_settings, dotenv_settings, file_secret_settings
        return EnvironmentSource(settings_cls), init_settings

    @model_validator(mode="before")
    @classmethod
    def _once(cls, values: Any) -> Any:
        for (section, key), elsewhere in _DERIVED.items():
            table = values.get(section)
            if isinstance(table, Mapping) and key in table:
                raise ConfigError("config_key", f"{section}.{key}: is set by {elsewhere}; remove it here")
        _check_numbers(values, {name: field.default for name, field in cls.model_fields.items()})
        for name in ("weights", "call_shares"):
            fusion = values.get("fusion", {})
            if isinstance(fusion, Mapping) and isinstance(fusion.get(name), Mapping):
                given = {str(signal): value for signal, value in fusion[name].items()}
                defaults = {signal.value: value for signal, value in getattr(FusionConfig(), name).items()}
                values = {**values, "fusion": {**fusion, name: {**defaults, **given}}}
        return values

    @model_validator(mode="after")
    def _by_the_rules(self) -> Self:
        if self.profile == "kz-ardfm" and self.checks.course.attempts > MOST_ATTEMPTS:
            text = "by the rules of the profile kz-ardfm the third failed attempt is the negative result"
            given = f"checks.course.attempts: {self.checks.course.attempts}"
            raise ConfigError("config_value", f"{given}: {text}; give {MOST_ATTEMPTS} or fewer")
        return self

    @model_validator(mode="after")
    def _derive(self) -> Self:
        ice = tuple(_ice_server(server) for server in self.relay.ice_servers)
        derived = {
            "sessions": replace(self.sessions, profile=Path(self.profile).stem),
            "api": replace(self.api, ice_servers=ice),
            "rooms": replace(self.rooms, ice_servers=ice),
            "fusion": replace(self.fusion, thresholds=thresholds(self.load_profile(), self.fusion)),
        }
        self.__dict__.update(derived)
        return self

    def load_profile(self) -> Profile:
        """Return the profile of sessions that do not name one."""
        return load_profile(self.profile)

    def profile_named(self, name: str) -> Profile:
        """Return a session's profile: the configured one, which may be the site's own file, or a shipped one.

        Raises:
            ConfigError: there is no such profile.
        """
        return self.load_profile() if name == self.sessions.profile else load_profile(name)


def _check_numbers(given: Mapping[str, Any], defaults: Mapping[str, Any], path: str = "") -> None:
    """Refuse numbers no setting can have; what is below zero, NaN or endless is refused by its name."""
    for key, value in given.items():
        name, default = f"{path}{key}", defaults.get(key)
        if isinstance(value, Mapping):
            if is_dataclass(default):
                default = {field.name: getattr(default, field.name) for field in fields(default)}
            _check_numbers(value, default if isinstance(default, Mapping) else {}, f"{name}.")
        elif isinstance(default, int | float) and not isinstance(default, bool):
            try:
                number = float(value)
            except (TypeError, ValueError):
                continue  # pydantic says what is wrong with it
            if not 0 <= number <= _LARGEST:
                raise ConfigError(
                    "config_value", f"{name}: {value} is not within 0 and {_LARGEST:.0e}; correct it"
                )


def thresholds(profile: Profile, fusion: FusionConfig | None = None) -> Thresholds:
    """Return the decision engine's thresholds of a profile.

    Raises:
        ConfigError: ``profile_value``; voice or face alone can never come to them. What they come to follows
            from the settings of the decision engine; a site that weighs one of them less has decided that.
    """
    fusion = replace(fusion or FusionConfig(), weights=FusionConfig().weights)
    found = Thresholds(**profile.thresholds.model_dump())
    needed = [("amber_llr", found.amber_llr, signal) for signal in (Signal.VOICE_SPOOF, Signal.FACE_FRAME)]
    if found.voice_alone_red:
        needed.append(("red_llr", found.red_llr, Signal.VOICE_SPOOF))
    for key, llr, signal in needed:
        reach_llr = fusion.reach_llr(signal)
        if 0 < reach_llr < llr:
            most = f"{signal.value} alone comes to {reach_llr:.2f} at most (the settings' table fusion)"
            text = f"{profile.name}.toml: thresholds.{key}: {llr:g} is never reached: {most}; choose less"
            raise ConfigError("profile_value", text)
    return found


def load_settings(path: Path | None = None) -> Settings:
    """Load the settings; without a path the defaults and the environment.

    Raises:
        ConfigError: a file, key or value is wrong; names it and says what to do.
    """
    load_texts()
    try:
        return Settings(**(_read(path) if path else {}))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"] if part != "[key]") or "(settings)"
        where = f"{path.name} or the environment" if path else "the environment"
        message = f"{where}: {key}: {_words(first['type'], first['msg'])}"
        raise ConfigError(_code(first["type"]), message) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)  # a device never ends
        if len(content) > _MAX_FILE_BYTES:
            raise ConfigError(
                "config_file", f"{path}: larger than {_MAX_FILE_BYTES >> 20} MiB; name a settings file"
            )
        return tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise ConfigError("config_file", f"{path}: {error.strerror}; name a readable file") from None
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, too long a number, nested too deep
        raise ConfigError("config_file", f"{path}: not valid TOML: {error}; correct it") from None


_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}


def _code(kind: str) -> str:
    return "config_key" if kind in _UNKNOWN else "config_value"


def _words(kind: str, message: str) -> str:
    if kind in _UNKNOWN:
        return "unknown key; remove it or correct its spelling (deploy/guard.sample.toml lists all)"
    return f"{message.removeprefix('Value error, ')}; correct it"


def _from_text(name: str, text: str) -> Any:
    if text[0] not in "[{":
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise ConfigError("config_value", f"{name}: not valid JSON; correct it") from None


def _ice_server(server: IceServer) -> dict[str, str]:
    ice = {"urls": server.url, "username": server.username, "credential": server.credential}
    return {name: value for name, value in ice.items() if value is not None}
