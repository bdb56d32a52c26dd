"""Every error as application/problem+json (RFC 9457) with a stable ``code``."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from guard.errors import GuardError

STATUS: Mapping[str, int] = {
    "token_forbidden": 403,
    "session_ended": 410,
    "participant_not_analysed": 409,
    "step_unknown": 409,
    "hold_missing": 409,
    "second_person_needed": 409,
    "state_graver": 409,
    "release_forbidden": 403,
    "drill_only": 409,
    "drill_running": 409,
    "drill_conflict": 422,
    "body_too_large": 413,
    "body_too_slow": 408,
    "content_type": 415,
    "ice_restart_unsupported": 422,
    "challenge_not_analysed": 409,
    "challenge_absent": 409,
    "challenge_running": 409,
}
"""Codes whose status is not the one of their error class."""


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return one problem document."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    body |= {"code": code, "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def from_error(error: GuardError, more: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the problem document of one of guard's own errors, with ``more`` headers."""
    status = STATUS.get(error.code, error.status)
    own = {401: {"WWW-Authenticate": 'Bearer realm="guard"'}, 503: {"Retry-After": "5"}}.get(status, {})
    return problem(status, error.code, error.message, {**own, **(more or {})})


async def _guard_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, GuardError)
    return from_error(error)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    # where and what, never the value: it may be a token or a person's name
    where = ".".join(str(part) for part in first.get("loc", ())) or "request"
    return problem(422, "request_invalid", f"{where}: {first.get('msg', 'is not valid')}"[:300])


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return problem(error.status_code, code, str(error.detail), error.headers)


async def _unexpected(_: Request, __: Exception) -> Response:
    # Starlette re-raises the exception after this, so the server log has it
    return problem(500, "internal_error", "something in the server went wrong; its log says what")


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error as a problem document."""
    app.add_exception_handler(GuardError, _guard_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
