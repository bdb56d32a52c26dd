"""A scripted media plane and the parts around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from guard.api import ApiConfig, Services
from guard.clock import ManualClock
from guard.errors import GuardError
from guard.signalling.check_messages import CheckMessage
from guard.signalling.messages import DeviceMessage
from guard.signalling.ports import Action, SyntheticAttack
from guard.signalling.sessions import Sessions, SessionsConfig
from guard.signalling.tokens import Tokens
from guard.types import Role, State

KEY = bytes(range(32))
ANSWER = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"


def offer(*lines: tuple[str, str, str], ufrag: str = "abcd") -> str:
    """An offer with the given (kind, mid, direction) m-lines."""
    text = f"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:secret\r\n"
    for kind, mid, direction in lines:
        text += f"m={kind} 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{mid}\r\na={direction}\r\n"
    return text


PUBLISH = offer(("audio", "0", "sendonly"), ("video", "1", "sendonly"))


@dataclass(frozen=True)
class Call:
    peer: str
    session: str
    participant: str
    publish: bool
    subscriptions: Mapping[str, str]


@dataclass
class ScriptedMedia:
    """Answers every offer with ``ANSWER``, or raises what it was told to."""

    refuse: GuardError | None = None
    calls: list[Call] = field(default_factory=list)
    candidates: list[tuple[str, str, str | None]] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)
    on_closed: Callable[[str], None] = lambda _: None

    @property
    def open(self) -> set[str]:
        return {call.peer for call in self.calls} - {peer for peer, _ in self.closed}

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
        if self.refuse is not None:
            raise self.refuse
        self.calls.append(Call(peer, session, participant, publish, dict(subscriptions)))
        return ANSWER

    async def add_candidate(self, peer: str, candidate: str, mid: str | None) -> None:
        self.candidates.append((peer, candidate, mid))

    async def close(self, peer: str, reason: str = "closed") -> None:
        self.closed.append((peer, reason))
        self.on_closed(peer)


@dataclass
class ActionLog:
    actions: list[Action] = field(default_factory=list)

    def check(self, action: Action) -> None:
        pass

    async def act(self, action: Action) -> None:
        self.actions.append(action)


@dataclass
class ScriptedEnrolments:
    """Takes every voice or photo, or raises what the test put there."""

    enrolled: dict[tuple[str, str], bytes] = field(default_factory=dict)
    refusal: GuardError | None = None

    async def enrol(self, session: str, participant: str, content: bytes) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.enrolled[session, participant] = content

    def withdraw(self, session: str, participant: str | None = None) -> None:
        for who in [w for w in self.enrolled if w[0] == session and participant in (None, w[1])]:
            del self.enrolled[who]


@dataclass
class ScriptedChecks:
    """Starts every check it is asked for, or raises what the test put there."""

    started: list[tuple[str, ...]] = field(default_factory=list)
    said: list[tuple[str, str, CheckMessage]] = field(default_factory=list)
    refusal: GuardError | None = None

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
        if self.refusal is not None:
            raise self.refusal
        self.started.append((session, participant, kind, language, by, *needs))
        return f"check-{len(self.started)}"


@dataclass
class ScriptedDrills:
    """Injects every attack it is asked for, or raises what the test put there."""

    injected: list[tuple[str, str, State, str]] = field(default_factory=list)
    attacks: list[tuple[str, str, SyntheticAttack, str]] = field(default_factory=list)
    stopped: list[tuple[str, str, str]] = field(default_factory=list)
    refusal: GuardError | None = None

    def inject(self, session: str, participant: str, state: State, *, by: str) -> str:
        if self.refusal is not None:
            raise self.refusal
        self.injected.append((session, participant, state, by))
        return f"alert-{len(self.injected)}"

    def attack(self, session: str, participant: str, media: SyntheticAttack, *, by: str) -> str:
        if self.refusal is not None:
            raise self.refusal
        self.attacks.append((session, participant, media, by))
        return f"attack-{len(self.attacks)}"

    def stop(self, session: str, drill: str, *, by: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.stopped.append((session, drill, by))


@dataclass
class House:
    """Everything behind the HTTP layer, with a clock the test moves."""

    clock: ManualClock
    media: ScriptedMedia
    log: ActionLog
    tokens: Tokens
    sessions: Sessions
    failing: dict[str, str]
    services: Services
    voices: ScriptedEnrolments
    faces: ScriptedEnrolments
    devices: list[tuple[str, str, DeviceMessage]]
    checks: ScriptedChecks
    drills: ScriptedDrills

    def token(self, session: str, participant: str, role: Role, ttl_s: float = 3600.0) -> str:
        return self.tokens.issue(session, participant, role, ttl_s=ttl_s)

    def operator(self) -> str:
        return self.token("*", "operator", Role.OPERATOR)


def house(config: ApiConfig | None = None, sessions_config: SessionsConfig | None = None) -> House:
    clock, media, log = ManualClock(), ScriptedMedia(), ActionLog()
    tokens = Tokens(KEY, clock)
    sessions = Sessions(clock, sessions_config, profiles=("meeting", "kz-ardfm"))
    failing: dict[str, str] = {}
    voices, faces = ScriptedEnrolments(), ScriptedEnrolments()
    devices: list[tuple[str, str, DeviceMessage]] = []
    checks, drills = ScriptedChecks(), ScriptedDrills()
    services = Services.build(
        checks=checks,
        drills=drills,
        clock=clock,
        tokens=tokens,
        sessions=sessions,
        media=media,
        sink=log,
        voices=voices,
        faces=faces,
        ready=lambda: failing,
        metrics=lambda: b"guard_up 1\n",
        reasons=lambda language: {"no_speech": f"No speech ({language})."},
        config=config,
        on_device=lambda *told: devices.append(told),
        on_check=lambda *told: checks.said.append(told),
    )
    # the relay reports every end, also those that were asked for
    media.on_closed = services.rooms.media_lost
    parts = (clock, media, log, tokens, sessions, failing, services, voices, faces, devices)
    return House(*parts, checks, drills)
