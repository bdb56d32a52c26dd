"""Policy profiles: TOML files that say who is told, by which means, with which advice.

A file with an unknown key, a missing language or an impossible threshold is refused
with the file, the key and the reason.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from guard.errors import ConfigError
from guard.policy.plan import ChecksTable, PlaybookTable, Roles, Strict
from guard.types import ALERTING, State

PROFILES = Path(__file__).resolve().parent / "profiles"
LANGUAGES = ("kk", "ru", "en")
MAX_ADVICE_CHARS = 280

Words = Annotated[str, Field(min_length=1, max_length=MAX_ADVICE_CHARS, pattern=r"\S")]


class ThresholdsTable(Strict):
    """Where the states begin; see docs/decisions.md for the price of each value."""

    red_llr: float = Field(gt=0, le=12)
    amber_llr: float = Field(gt=0, le=12)
    bona_fide_llr: float = Field(lt=0, ge=-12)
    voice_alone_red: bool
    voice_support_llr: float = Field(gt=0, le=12)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.amber_llr >= self.red_llr:
            raise ValueError("amber_llr must be below red_llr")
        if self.voice_support_llr >= self.red_llr:
            raise ValueError("voice_support_llr must be below red_llr")
        return self


class Means(Strict):
    """By which means a state is told."""

    data_channel: bool
    page: bool
    banner: bool
    announcement: bool
    webhook: bool
    console: bool


class AdviceTable(Strict):
    """What people are told to do, in every language; next step first."""

    kk: Words
    ru: Words
    en: Words


class Profile(Strict):
    """One policy.

    Args:
        name: equals the file name.
        description: for the operator.
        suspectable: roles that are judged unless the session says otherwise.
        tell: roles that are told about somebody else.
        tell_suspect: whether the suspect is told too; needs ``tell_suspect_reason``.
        means: means for suspect, spoof and detector_down.
        playbook: what is done about a warning, step by step.
        checks: when guard itself starts an active check.
        advice: own advice for a state; without it the text ``advice.<name>.<state>``.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")
    description: str
    suspectable: Roles
    tell: Roles
    tell_suspect: bool = False
    tell_suspect_reason: str = ""
    thresholds: ThresholdsTable
    means: dict[Annotated[State, Field(strict=False)], Means]
    playbook: PlaybookTable
    checks: ChecksTable = ChecksTable()
    advice: dict[Annotated[State, Field(strict=False)], AdviceTable] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        told = {State.SUSPECT, State.SPOOF, State.DETECTOR_DOWN}
        if set(self.means) != told:
            raise ValueError("means needs the tables suspect, spoof and detector_down, and no other")
        for state in ALERTING:
            if not self.means[state].console:
                raise ValueError(
                    f"means.{state.value}.console must be true: a warning that fails is seen there"
                )
        if not set(self.advice) <= told:
            raise ValueError("advice can be given for suspect, spoof and detector_down only")
        if self.tell_suspect and not self.tell_suspect_reason.strip():
            raise ValueError("tell_suspect warns the attacker; give tell_suspect_reason or leave it false")
        if not set(self.playbook.roles()) <= set(self.tell):
            raise ValueError("playbook.steps: a step can be told only to roles in tell")
        if not self.checks.fits(self.playbook):
            raise ValueError(
                "checks.at names a state exactly where the playbook's challenge is automatic, at that state "
                "and of that kind"
            )
        return self


def load_profile(name_or_path: str | Path) -> Profile:
    """Load a shipped profile by name, or one of your own by path.

    Raises:
        ConfigError: no such profile, or the file is wrong; says file, key and reason.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = PROFILES / f"{name_or_path}.toml"
    try:
        if not path.is_file():
            raise ConfigError(
                "profile_unknown",
                f"profile {str(name_or_path)!r} does not exist; shipped are {', '.join(shipped_profiles())}, "
                "your own is named by a path that ends in .toml",
            )
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise ConfigError("profile_unknown", f"{path.name[:80]}: {reason}; name a readable file") from error
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, too long a number, nested too deep
        raise ConfigError("profile_syntax", f"{path.name}: not valid TOML: {error}") from error
    return parse_profile(table, path.name)


def parse_profile(table: dict[str, object], file: str) -> Profile:
    """Check a profile's table.

    Raises:
        ConfigError: names ``file``, the key and what is wrong with it.
    """
    try:
        profile = Profile.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "(file)"
        raise ConfigError("profile_value", f"{file}: {key}: {_words(first['type'], first['msg'])}") from error
    if file != f"{profile.name}.toml":
        raise ConfigError("profile_value", f"{file}: name: must equal the file's name without .toml")
    return profile


def shipped_profiles() -> list[str]:
    """Return the names of the profiles that come with guard."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def _words(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "unknown key; remove it or correct its spelling"
    if kind == "missing":
        return "missing; every profile must give it"
    if kind == "string_pattern_mismatch" and "\\S" in message:
        return "is blank; write the words"
    return message.removeprefix("Value error, ")
