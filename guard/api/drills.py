"""``/api/v1/sessions/{id}/drills``: a synthetic attack in a training call."""

# no postponed annotations here: FastAPI reads them, and the dependencies are local to a function

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from guard.api.auth import from_header
from guard.api.services import Services
from guard.signalling.messages import Name
from guard.signalling.tokens import Access, forbidden
from guard.types import Role, State


class DrillBody(BaseModel):
    """What is to be told of whom."""

    model_config = ConfigDict(extra="forbid")

    participant: Name
    state: Literal["suspect", "spoof"] = "spoof"


class StartedDrill(BaseModel):
    """An attack that was injected: ``id`` of its alert."""

    id: str


def drills_router(services: Services) -> APIRouter:
    """Return the route of drills."""
    router = APIRouter(prefix="/api/v1/sessions", tags=["drills"])
    token = from_header(services.tokens)

    @router.post("/{session}/drills", status_code=201)
    async def inject(
        session: str, body: DrillBody, access: Annotated[Access, Depends(token)]
    ) -> StartedDrill:
        """Inject a labelled attack into a session that was opened with ``drill`` (operators)."""
        access.require_session(session)
        if access.role is not Role.OPERATOR:
            raise forbidden("only operators start drills")
        alert = services.drills.inject(session, body.participant, State(body.state), by=access.participant)
        return StartedDrill(id=alert)

    return router
