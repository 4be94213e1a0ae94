"""Serve data of the Thor API within a time limit: `python web_handler.py`."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from aiohttp import web

from thorclient import (
    ApiError,
    ChargeboxNotFound,
    DeadlineExceeded,
    RateLimitedError,
    RetryPolicy,
    ThorClient,
    Timeout,
)

THOR = web.AppKey("thor", ThorClient)


async def thor_client(app: web.Application) -> AsyncIterator[None]:
    """Provide one client, and so one pool of connections, for the life of the application."""
    async with ThorClient.from_env() as client:
        # Users wait at most 2 seconds, including retries and the waits between them.
        app[THOR] = client.with_options(
            timeout=Timeout(total=2.0, connect=1.0, read=1.0),
            retry=RetryPolicy(attempts=2, base_delay=0.1),
        )
        yield


async def charges(request: web.Request) -> web.Response:
    """Return the charges of the last 7 days, or an error with the status of its cause."""
    try:
        analytics = await request.app[THOR].get_analytics(request.match_info["id"])
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from None
    except ChargeboxNotFound:
        raise web.HTTPNotFound(text="there is no such chargebox") from None
    except DeadlineExceeded:
        raise web.HTTPGatewayTimeout(text="Thor takes too long") from None
    except RateLimitedError as error:
        wait = {"Retry-After": str(round(error.retry_after or 60))}
        raise web.HTTPServiceUnavailable(text="Thor is busy", headers=wait) from None
    except ApiError as error:  # such as a rejected key, which is our fault, not the user's
        logging.getLogger(__name__).warning("Thor: %s", error)
        raise web.HTTPBadGateway(text="Thor is not available") from None
    return web.json_response({"charges": analytics.charges.last_7})


def make_app() -> web.Application:
    """Return the application."""
    app = web.Application()
    app.cleanup_ctx.append(thor_client)
    app.router.add_get("/chargeboxes/{id}/charges", charges)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1", port=8000)
