"""Puts the HTTP routes together."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI, WebSocket

from guard import __version__
from guard.api import problems
from guard.api.describe import describe
from guard.api.drills import drills_router
from guard.api.enrolment import enrolment_router, larger_body
from guard.api.middleware import BodyLimit, SecurityHeaders
from guard.api.services import Services
from guard.api.sessions import sessions_router
from guard.api.system import PageFiles, system_router
from guard.resources import web_dir
from guard.signalling.resources import Ingest
from guard.signalling.whep import whep_router
from guard.signalling.whip import whip_router


def create_app(services: Services) -> FastAPI:
    """Return the ASGI application of ``guard serve``.

    The interactive documentation pages of FastAPI are off: they load scripts from a public
    server. The description itself is at ``/openapi.json``.
    """
    config = services.config
    app = FastAPI(
        title="guard",
        version=__version__,
        description="Self-hosted WebRTC relay that protects live calls from deepfakes.",
        docs_url=None,
        redoc_url=None,
    )
    ingest = Ingest(services.tokens, services.sessions, services.connections, config.ice_servers)
    app.include_router(sessions_router(services))
    app.include_router(drills_router(services))
    app.include_router(enrolment_router(services))
    app.include_router(whip_router(ingest))
    app.include_router(whep_router(ingest))
    app.include_router(system_router(services))

    @app.websocket("/ws/{session}")
    async def room(socket: WebSocket, session: str) -> None:
        await services.rooms.serve(socket, session, socket.query_params.get("token"))

    app.mount("/web", PageFiles(directory=web_dir()), name="web")
    problems.install(app)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    app.add_middleware(
        BodyLimit,
        max_bytes=config.max_body_bytes,
        timeout_s=config.body_timeout_s,
        larger=partial(larger_body, tokens=services.tokens),
    )
    app.add_middleware(SecurityHeaders)
    return app
