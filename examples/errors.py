"""Count the sessions of one connector, and handle errors: `python errors.py CP-001 1`."""

from __future__ import annotations

import asyncio
import sys

from depotclient import (
    ApiError,
    AuthError,
    DepotClient,
    RateLimitedError,
    SchemaError,
    ServerError,
    TransportError,
)


async def main(charger_id: str, connector_id: str) -> None:
    """Print the number of sessions. After an error, print how to react."""
    count = 0
    try:
        async with DepotClient.from_env() as depot:
            async for _ in depot.session_reports(charger_id, connector_id):
                count += 1
    except AuthError as error:
        print(f"the credentials were rejected: {error}")
    except RateLimitedError as error:
        print(f"wait {error.retry_after or 60:g} s, then resume={str(error.cursor)!r}")
    except (TransportError, ServerError) as error:
        print(f"try later: {error}")
    except SchemaError as error:
        print("the vendor has changed something:", *error.problems, sep="\n  ")
    except ApiError as error:  # any other error of this library
        print(f"{type(error).__name__}: {error}")
    print(f"{count} sessions")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
