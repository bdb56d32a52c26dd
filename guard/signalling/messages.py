"""What a call page may say over the room's WebSocket (docs/signalling.md)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from guard.errors import PeerError
from guard.signalling.check_messages import CheckMessage
from guard.signalling.sdp import MAX_MEDIA_LINES, MAX_SDP_BYTES

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Mid = Annotated[str, Field(min_length=1, max_length=32)]
Language = Literal["kk", "ru", "en"]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = 1


class Join(_Message):
    """The first message: the person has read the notice, in this language, and agreed."""

    type: Literal["join"]
    consent: Literal[True]
    language: Language


class LanguageMessage(_Message):
    """The person reads the page in another language from now on."""

    type: Literal["language"]
    language: Language


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


Side = Annotated[int, Field(ge=1, le=16384)]
Rate = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(ge=0, le=600_000, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class _Strict(BaseModel):
    # strict: a text is no number, and a number no truth value
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PictureFormat(_Strict):
    """Size and rate of a camera's pictures; None where the browser does not say."""

    width: Side | None
    height: Side | None
    rate_hz: Rate | None


class CameraRange(_Strict):
    """The most a camera can do by the browser's account, and how many of its image settings it has."""

    max_width: Side | None
    max_height: Side | None
    max_rate_hz: Rate | None
    controls: Annotated[int, Field(ge=0, le=64)]


class DeviceMessage(_Strict):
    """What the page says of its own camera; never its name, only what kind the name stands for.

    Args:
        kind: as in ``guard.detectors.virtual_camera.CameraKind``.
        automated: ``navigator.webdriver``.
        has_id: whether the browser gives the camera an id; the id itself is not sent.
        facing: ``facingMode``; None where the browser gives none.
        changes: how often the page's camera became another one.
        requested: what the page asked for.
        reported: what the browser's settings say.
        actual: what arrived, the rate as counted.
        range: None where the browser does not say.
        first_picture_ms: from asking for the camera to its first picture; None where none came.
        resize_ms: how long the browser took to take another size; None where it took none.
        jitter_ms: standard deviation of the time between pictures; None before there were enough.
        pictures: how many of them were counted.
    """

    v: Literal[1] = 1
    type: Literal["device"]
    kind: Literal["physical", "virtual", "effects", "bridge", "capture", "test", "hidden"]
    automated: bool
    has_id: bool
    facing: Literal["user", "environment", "left", "right"] | None
    changes: Count
    requested: PictureFormat
    reported: PictureFormat
    actual: PictureFormat
    range: CameraRange | None
    first_picture_ms: Milliseconds | None
    resize_ms: Milliseconds | None
    jitter_ms: Milliseconds | None
    pictures: Count


Message = Join | LanguageMessage | OfferMessage | Candidate | Ack | Leave | DeviceMessage | CheckMessage

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
