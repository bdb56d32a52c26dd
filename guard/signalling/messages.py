"""What a call page may say over the room's WebSocket (docs/signalling.md)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from guard.errors import PeerError
from guard.signalling.sdp import MAX_MEDIA_LINES, MAX_SDP_BYTES

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Mid = Annotated[str, Field(min_length=1, max_length=32)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = 1


class Join(_Message):
    """The first message: the person has read the notice, in this language, and agreed."""

    type: Literal["join"]
    consent: Literal[True]
    language: Literal["kk", "ru", "en"]


class OfferMessage(_Message):
    """An SDP offer; ``fresh`` asks for a new connection in place of a broken one."""

    type: Literal["offer"]
    id: Annotated[int, Field(ge=0, lt=2**31)]
    sdp: Annotated[str, Field(max_length=MAX_SDP_BYTES)]
    subscriptions: Annotated[dict[Mid, Name], Field(max_length=MAX_MEDIA_LINES)] = {}
    fresh: bool = False


class Candidate(_Message):
    """One trickled ICE candidate; an empty text ends them."""

    type: Literal["candidate"]
    candidate: Annotated[str, Field(max_length=1024)]
    mid: Mid | None = None


class Ack(_Message):
    """The person has taken note of an alert."""

    type: Literal["ack"]
    id: Annotated[str, Field(min_length=1, max_length=64)]


class Leave(_Message):
    """The person hangs up."""

    type: Literal["leave"]


Message = Join | OfferMessage | Candidate | Ack | Leave

_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def parse_message(text: str) -> Message:
    """Read one message.

    Raises:
        PeerError: ``message_malformed``, naming the field but not repeating its content.
    """
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "message"
        raise PeerError("message_malformed", f"{where}: {first['msg']}"[:200]) from None
