"""Serve both APIs over HTTP: `uvicorn fastapi_service:app`."""

from __future__ import annotations

import logging
from asyncio import gather, timeout
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import datetime

import attrs
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

import depotclient
import thorclient
from depotclient import DepotClient, SessionReport, SessionReports
from thorclient import Analytics, ApiError, Chargebox, ThorClient, Timeout

log = logging.getLogger(__name__)
STATUSES = {
    thorclient.NotFoundError: 404,
    thorclient.RateLimitedError: 503,
    thorclient.DeadlineExceeded: 504,
    ApiError: 502,  # such as a rejected key, which is our fault, not the user's
}


@attrs.frozen
class Box:
    """A chargebox, and its analytics if they arrived."""

    chargebox: Chargebox
    analytics: Analytics | None = None


@attrs.frozen
class Fleet:
    """The first 50 active chargeboxes."""

    boxes: list[Box]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, object]]:
    """Keep one client of each API for the life of the application."""
    async with ThorClient.from_env() as thor, DepotClient.from_env() as depot:
        yield {"thor": thor.with_options(timeout=Timeout(total=2)), "depot": depot}


app = FastAPI(lifespan=lifespan, default_response_class=Response)
BOX = {"content": {"application/json": {"schema": thorclient.json_schema(Box)}}}
FLEET = {"content": {"application/json": {"schema": thorclient.json_schema(Fleet)}}}
LINES = {"content": {"application/x-ndjson": {"schema": depotclient.json_schema(SessionReport)}}}


@app.exception_handler(ApiError)
def refuse(_: Request, error: ApiError) -> JSONResponse:
    """Log an error, and return a status for its cause."""
    log.warning("%s", error, extra={"context": error.context})
    status = next(status for cause, status in STATUSES.items() if isinstance(error, cause))
    return JSONResponse({"detail": type(error).__name__}, status)


@app.exception_handler(ValueError)
def reject(_: Request, error: ValueError) -> JSONResponse:
    """Explain an invalid argument, such as a time without a zone."""
    return JSONResponse({"detail": str(error)}, 400)


@app.get("/chargeboxes/{chargebox_id}", responses={200: BOX})
async def read_box(request: Request, chargebox_id: str) -> Response:
    """Return a chargebox with its analytics."""
    thor: ThorClient = request.state.thor
    box = Box(*await gather(thor.get_chargebox(chargebox_id), thor.get_analytics(chargebox_id)))
    return Response(thorclient.to_json(box), media_type="application/json")


@app.get("/fleet", responses={200: FLEET})
async def read_fleet(request: Request) -> Response:
    """Return the fleet, with the analytics that arrive within 1.8 seconds."""
    thor: ThorClient = request.state.thor
    boxes = dict[str, Box]()
    try:
        async with timeout(1.8):
            boxes = {box.id: Box(box) for box in (await thor.get_chargeboxes())[:50]}
            async with aclosing(thor.get_analytics_many([*boxes], concurrency=50)) as results:
                async for chargebox_id, result in results:
                    if isinstance(result, ApiError):
                        log.warning("%s", result, extra={"context": result.context})
                    else:
                        boxes[chargebox_id] = Box(boxes[chargebox_id].chargebox, result)
    except TimeoutError:
        if not boxes:
            raise HTTPException(504, "the list of chargeboxes did not arrive in time") from None
    return Response(thorclient.to_json(Fleet([*boxes.values()])), media_type="application/json")


@app.get("/sessions/{charger}/{connector}", responses={200: LINES})
async def read_sessions(
    request: Request, charger: str, connector: str, since: datetime | None = None
) -> Response:
    """Stream the sessions. An error before the first report gets its own status."""
    lines = write_lines(request.state.depot.session_reports(charger, connector, from_=since))
    first = await anext(lines, b"")

    async def all_lines() -> AsyncIterator[bytes]:
        yield first
        async for line in lines:
            yield line

    return StreamingResponse(all_lines(), media_type="application/x-ndjson")


async def write_lines(reports: SessionReports[SessionReport]) -> AsyncIterator[bytes]:
    """Yield a line for each report. If the user disconnects, the walk cancels its requests."""
    async with reports.walk() as walk:
        async for report in walk:
            yield depotclient.to_json(report) + b"\n"
