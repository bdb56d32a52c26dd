"""Completes ``/openapi.json``: problem documents, and what WHIP and WHEP take and give."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457; the codes are listed in docs/errors.md.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}
_BODIES = {"post": "application/sdp", "patch": "application/trickle-ice-sdpfrag"}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description of the application's routes."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas = found["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own; guard answers problems
            schemas.pop(unused, None)
        schemas["Problem"] = _PROBLEM
        for path, operations in found["paths"].items():
            for method, operation in operations.items():
                _complete(operation, method, media=path.startswith(("/whip/", "/whep/")))
        app.openapi_schema = found
    return app.openapi_schema


def _complete(operation: dict[str, Any], method: str, *, media: bool) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses["default"] = {"description": "What went wrong", "content": problem}
    if not media:
        return
    operation["security"] = [{"HTTPBearer": []}]
    if method in _BODIES:
        text = {"schema": {"type": "string"}}
        operation["requestBody"] = {"required": True, "content": {_BODIES[method]: text}}
    if method == "post":
        responses["201"]["content"] = {"application/sdp": {"schema": {"type": "string"}}}
        responses["201"]["headers"] = {"Location": {"schema": {"type": "string"}}}
