"""``/api/v1/sessions/{id}/drills``: attacks in a training call, made up or played to the detectors."""

# no postponed annotations here: FastAPI reads them, and the dependencies are local to a function

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from guard.api.auth import from_header
from guard.api.services import Services
from guard.errors import PeerError
from guard.signalling.messages import Name
from guard.signalling.ports import AttackKind, SyntheticAttack
from guard.signalling.tokens import Access, forbidden
from guard.types import Role, State


class DrillBody(BaseModel):
    """What is to be told of whom (``state``), or what their detectors are to be given (``attack``)."""

    model_config = ConfigDict(extra="forbid")

    participant: Name
    state: Literal["suspect", "spoof"] | None = None
    attack: AttackKind | None = None
    after_s: Annotated[float, Field(ge=0, le=60)] | None = None
    seconds: Annotated[float, Field(ge=10, le=120)] | None = None

    def media(self) -> SyntheticAttack | None:
        """Return the synthetic attack that is asked for; None where a state is.

        Raises:
            PeerError: ``drill_conflict``.
        """
        timed = self.after_s is not None or self.seconds is not None
        if self.attack is None:
            if timed:
                raise PeerError("drill_conflict", "'after_s' and 'seconds' belong to 'attack'; name one")
            return None
        if self.state is not None:
            raise PeerError(
                "drill_conflict",
                "give 'state', which is told as it is, or 'attack', which the detectors have to find",
            )
        after_s = AFTER_S if self.after_s is None else self.after_s
        return SyntheticAttack(self.attack, after_s, SECONDS if self.seconds is None else self.seconds)


class StartedDrill(BaseModel):
    """``id`` of the alert of a state, or of the synthetic attack."""

    id: str


# so long the detectors get to know the participant first, and so long an attack lasts, where nothing is said
AFTER_S = 10.0
SECONDS = 35.0


def drills_router(services: Services) -> APIRouter:
    """Return the routes of drills."""
    router = APIRouter(prefix="/api/v1/sessions", tags=["drills"])
    token = from_header(services.tokens)

    def operator(session: str, access: Access) -> str:
        access.require_session(session)
        if access.role is not Role.OPERATOR:
            raise forbidden("only operators start and stop drills")
        return access.participant

    @router.post("/{session}/drills", status_code=201)
    async def begin(session: str, body: DrillBody, access: Annotated[Access, Depends(token)]) -> StartedDrill:
        """Inject a labelled attack into a session that was opened with ``drill`` (operators)."""
        by, media = operator(session, access), body.media()
        if media is not None:
            return StartedDrill(id=services.drills.attack(session, body.participant, media, by=by))
        state = State(body.state or State.SPOOF)
        return StartedDrill(id=services.drills.inject(session, body.participant, state, by=by))

    @router.delete("/{session}/drills/{drill}", status_code=204)
    async def stop(session: str, drill: str, access: Annotated[Access, Depends(token)]) -> None:
        """End a synthetic attack before its time (operators)."""
        services.drills.stop(session, drill, by=operator(session, access))

    return router
