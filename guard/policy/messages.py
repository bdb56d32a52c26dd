"""What goes out: deliveries, their channels, and the alert they carry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from guard.alert import Alert
from guard.clock import rfc3339
from guard.errors import ConfigError
from guard.policy.profile import Profile
from guard.policy.texts import LANGUAGES, Texts
from guard.reasons import OTHER_PERSON
from guard.types import Role, State, Verdict


class Channel(StrEnum):
    """By which means a message reaches people or systems."""

    DATA_CHANNEL = "data_channel"
    PAGE = "page"
    BANNER = "banner"
    ANNOUNCEMENT = "announcement"
    WEBHOOK = "webhook"
    CONSOLE = "console"


class Action(StrEnum):
    """Send once; start or stop something that lasts.

    ``stop`` on a data channel or page takes the message off the screen; ``start`` on the
    console is the alarm that nobody has answered.
    """

    SEND = "send"
    START = "start"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing the app must do now.

    Args:
        recipient: participant to reach; None for the webhook and the console.
        channel: by which means.
        action: send, start or stop.
        alert: what it is about; ``alert.participant`` is the suspect.
    """

    recipient: str | None
    channel: Channel
    action: Action
    alert: Alert


@dataclass(frozen=True, slots=True)
class Party:
    """One participant as the policy sees it.

    Args:
        id: participant id.
        role: decides who is told.
        suspectable: whether the participant is judged; None leaves it to the profile.
        has_channel: whether a guard data channel is open to it.
        has_page: whether its call page is connected.
    """

    id: str
    role: Role
    suspectable: bool | None = None
    has_channel: bool = False
    has_page: bool = False


def advice(profile: Profile, texts: Texts, state: State, *, of: str | None = None) -> dict[str, str]:
    """Return what to do next, in every language: the profile's own words or the shipped ones.

    ``of`` names the shipped words where they are not the profile's for this state: see ``advice_of``.
    """
    own = profile.advice.get(state)
    if own is not None:
        return {language: getattr(own, language) for language in LANGUAGES}
    return texts.all(f"advice.{of or f'{profile.name}.{state.value}'}")


def advice_of(profile: Profile, verdict: Verdict) -> str | None:
    """Return which words fit better than the state's own; None: none do.

    Who is suspected only for not being the person of the enrolled photo has shown no sign of an artificial
    voice or face, and the words must not say so; of whom the face became another's there is more to say.
    """
    below_amber = verdict.llr is None or verdict.llr < profile.thresholds.amber_llr
    first = next(iter(verdict.reasons), None)
    only_that = verdict.state is State.SUSPECT and below_amber and first in OTHER_PERSON
    return first if only_that else None


def check_advice(profile: Profile, texts: Texts) -> None:
    """Make sure every state the profile tells has advice in every language.

    Raises:
        ConfigError: no own advice and no shipped text; names file and key.
    """
    for state in profile.means:
        try:
            advice(profile, texts, state)
        except ConfigError as error:
            key = f"{profile.name}.toml: advice.{state.value}"
            text = f"{key}: missing; a profile of your own gives it in {', '.join(LANGUAGES)}"
            raise ConfigError("profile_value", text) from error


def top_signals(verdict: Verdict) -> tuple[str, ...]:
    """Return the names of the signals that point to spoof, strongest first."""
    found = [(s.llr, name.value) for name, s in verdict.signals.items() if s.llr is not None and s.llr > 0]
    return tuple(name for _, name in sorted(found, key=lambda item: (-item[0], item[1])))


def make_alert(
    verdict: Verdict, alert_id: str, words: dict[str, str], at: datetime, ttl_s: float, *, drill: bool = False
) -> Alert:
    """Build the message of the contract from a verdict; ``drill`` labels one that nothing was found for."""
    return Alert(
        id=alert_id,
        session=verdict.session,
        participant=verdict.participant,
        state=verdict.state,
        llr=None if verdict.llr is None else round(verdict.llr, 3),
        signals=top_signals(verdict),
        advice=words,
        at=rfc3339(at),
        expires_at=rfc3339(at + timedelta(seconds=ttl_s)),
        drill=drill,
        reasons=tuple(verdict.reasons),
    )
