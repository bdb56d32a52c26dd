"""What signalling needs from the rest of the house; ``app.py`` plugs it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from guard.types import Role, State


class MediaPlane(Protocol):
    """Peer connections; the client is always the offerer."""

    async def negotiate(
        self,
        peer: str,
        *,
        session: str,
        participant: str,
        sdp: str,
        publish: bool,
        subscriptions: Mapping[str, str],
    ) -> str:
        """Answer an SDP offer; the first call for ``peer`` makes the connection, later ones renegotiate.

        Args:
            peer: id of the connection, never reused.
            session: the call it belongs to.
            participant: who is connecting.
            sdp: the offer.
            publish: whether the peer's own audio and video are to be forwarded to others.
            subscriptions: SDP mid -> participant whose track of that m-line's kind is wanted there.

        Raises:
            GuardError: the offer cannot be used, or there is no room.
        """

    async def add_candidate(self, peer: str, candidate: str, mid: str | None) -> None:
        """Take one trickled ICE candidate (the ``candidate:...`` text of RFC 8839)."""

    async def close(self, peer: str, reason: str = "closed") -> None:
        """Close the connection; an unknown ``peer`` is no error."""


class ActionKind(StrEnum):
    """What a person may do about a warning."""

    ACKNOWLEDGE = "acknowledge"
    HOLD = "hold"
    RELEASE = "release"
    END = "end"
    CALL_BACK = "call_back"


@dataclass(frozen=True, slots=True)
class Action:
    """A decision of a person, after it was found permitted.

    Args:
        by: the participant (or operator) who decided.
        alert: id of the alert it answers, None for an action without one.
        reason: free text for the people of the session, kept in memory as long as it lives; may hold personal
            data, so it is neither logged nor recorded nor posted to a webhook.
        state: what the person saw the alert say; None where they do not tell.
    """

    session: str
    by: str
    kind: ActionKind
    alert: str | None = None
    reason: str | None = None
    state: State | None = None

    @property
    def reasoned(self) -> bool:
        """Whether a reason was given."""
        return bool(self.reason and self.reason.strip())


class EnrolmentPort(Protocol):
    """Keeps the voices, or the faces, that participants should have, for as long as their session."""

    async def enrol(self, session: str, participant: str, content: bytes) -> None:
        """Compare a participant with the voice in an audio file, or the face in a photo, from now on.

        Raises:
            MediaError: the file is no good; docs/errors.md, "Enrolled voices" and "Enrolled faces".
            Overload: ``analysis_unavailable``.
        """

    def withdraw(self, session: str, participant: str | None = None) -> None:
        """Forget what was enrolled for a participant, or for everybody in the session."""


class ChecksPort(Protocol):
    """Leads participants through active checks (docs/challenges.md)."""

    def start(
        self,
        session: str,
        participant: str,
        kind: str,
        *,
        language: str,
        by: str,
        needs: Sequence[str] = (),
    ) -> str:
        """Begin a check and return its id; the results come as events of the session.

        Args:
            kind: visual, light, occlusion, words or mutual.
            language: of words to be read.
            by: who asked for it.
            needs: what the participant cannot do, as ``check_messages.NeedName``; they may say so themselves.

        Raises:
            PeerError: ``challenge_not_analysed``, ``challenge_absent`` or ``challenge_running``.
            Overload: ``analysis_unavailable``.
        """


class ActionSink(Protocol):
    """Takes permitted actions: policy stops repeating, evidence writes them down."""

    def check(self, action: Action) -> None:
        """Look at a permitted action before anything of it is applied.

        Raises:
            PeerError: ``state_graver``: what the person saw has become worse since.
        """

    async def act(self, action: Action) -> None:
        """Apply one action; called after the session's own state has changed."""


class Operations(Protocol):
    """The playbooks: what an action means for an operation of the bank that is, or may be, on hold."""

    def decide(self, action: Action, role: Role) -> bool:
        """Take a permitted action before it is applied; returns whether it was about an operation.

        Raises:
            PeerError: ``alert_missing``, ``step_unknown``, ``hold_missing`` or ``second_person_needed``.
            AccessError: ``release_forbidden``.
        """


class AttackKind(StrEnum):
    """What of a participant a synthetic attack replaces, for the detectors alone."""

    VOICE = "voice"
    FACE = "face"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class SyntheticAttack:
    """Labelled synthetic media that the detectors get in the place of a participant's.

    Args:
        kind: what is replaced.
        after_s: seconds from now at which it begins.
        seconds: how long it lasts.
    """

    kind: AttackKind
    after_s: float
    seconds: float


class DrillPort(Protocol):
    """Injects attacks into training calls."""

    def inject(self, session: str, participant: str, state: State, *, by: str) -> str:
        """Make up a verdict and return the id of its alert.

        Raises:
            NotFoundError: no such session or participant.
            PeerError: ``drill_only``, ``participant_not_analysed`` or ``drill_running``.
        """

    def attack(self, session: str, participant: str, media: SyntheticAttack, *, by: str) -> str:
        """Begin a synthetic attack and return its id; what the detectors say of it comes as events.

        Raises:
            NotFoundError: no such session or participant.
            PeerError: ``drill_only``, ``participant_not_analysed`` or ``drill_running``.
            Overload: ``drills_full`` or ``analysis_unavailable``.
        """

    def stop(self, session: str, drill: str, *, by: str) -> None:
        """End a synthetic attack before its time.

        Raises:
            NotFoundError: no such session, or ``drill_unknown``.
        """
