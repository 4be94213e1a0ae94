"""Use your own `ClientSession`: `python own_session.py CHARGER CONNECTOR`."""

from __future__ import annotations

import asyncio
import sys

import aiohttp

from depotclient import DepotClient


async def main(charger_id: str, connector_id: str) -> None:
    """Print the ids of the first 5 sessions."""
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(cookie_jar=jar, trust_env=True) as session:
        # You close this session. Closing the client does not close it.
        depot = DepotClient.from_env(session=session)
        reports = await depot.session_reports(charger_id, connector_id).collect(max_items=5)
    print(*(report.session_id for report in reports))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
