"""What a call page says during an active check (docs/challenges.md); none of it is relied on."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

CheckId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Path = Annotated[str, Field(pattern=r"^/[A-Za-z0-9_./-]{1,120}$")]


NeedName = Literal[
    "no_hands",
    "no_sight",
    "no_hearing",
    "no_speech",
    "head_covering",
    "glasses",
    "light_sensitive",
    "no_turning",
]
"""What a person cannot do, as in ``guard.challenge.commands.Need``."""
NeedNames = Annotated[list[NeedName], Field(max_length=len(get_args(NeedName)))]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    v: Literal[1] = 1


class ShownMessage(_Strict):
    """A step of a command is on the screen."""

    type: Literal["shown"]
    id: CheckId
    number: Annotated[int, Field(ge=1, le=64)]
    step: Annotated[int, Field(ge=0, le=256)]


class NeedsMessage(_Strict):
    """The person cannot follow some commands and asks for others; None: they are choosing."""

    type: Literal["needs"]
    id: CheckId
    needs: NeedNames | None


class ComparedMessage(_Strict):
    """Mutual check: whether both sides show the same code."""

    type: Literal["compared"]
    id: CheckId
    same: bool


class ClientMessage(_Strict):
    """What the page is made of, by its own account: version and sha256 of its files."""

    type: Literal["client"]
    version: Annotated[str, Field(max_length=64)]
    files: Annotated[dict[Path, Digest], Field(max_length=64)]


CheckMessage = ShownMessage | NeedsMessage | ComparedMessage | ClientMessage
