"""``/healthz``, ``/readyz``, ``/metrics`` and the call page's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from guard.api.auth import require_metrics
from guard.api.middleware import content_policy
from guard.api.page import build_page
from guard.api.services import Services
from guard.resources import web_dir

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class PageFiles(StaticFiles):
    """The page's files: may be kept, but are asked for again each time (ETag)."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return one file."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def system_router(services: Services) -> APIRouter:
    """Return the routes for probes, Prometheus and the page."""
    router = APIRouter()
    page = build_page(web_dir())
    page_headers = {
        "Content-Security-Policy": content_policy(page.script_sources),
        "Integrity-Policy": "blocked-destinations=(script)",
    }

    @router.get("/healthz", tags=["system"])
    async def healthz() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "ok"}

    @router.get("/readyz", tags=["system"])
    async def readyz() -> Response:
        """Say whether calls can be served and analysed; 503 names the failing parts."""
        failing = dict(services.ready())
        body: dict[str, Any] = {"status": "failing" if failing else "ok", "failing": failing}
        return JSONResponse(body, 503 if failing else 200)

    @router.get("/api/v1/reasons/{language}", tags=["system"])
    async def reasons(language: Literal["kk", "ru", "en"]) -> Mapping[str, str]:
        """Return what every reason code means, in words; needs no token."""
        return services.reasons(language)

    @router.get("/metrics", tags=["system"], response_class=Response)
    async def metrics(request: Request) -> Response:
        """Return Prometheus metrics, to this machine or to an operator's token."""
        allowed = services.config.metrics_from_loopback
        require_metrics(services.tokens, request, loopback_allowed=allowed)
        return Response(services.metrics(), media_type=METRICS_TYPE)

    @router.get("/", include_in_schema=False)
    async def call_page() -> Response:
        """Return the call page; it reads its token from the address."""
        return HTMLResponse(page.html, headers=page_headers)

    return router
