"""Trust a company's certificate authority, and use a proxy: `python certificates.py CA.pem ID`."""

from __future__ import annotations

import asyncio
import ssl
import sys

import aiohttp

from thorclient import ThorClient


async def main(ca_file: str, chargebox_id: str, proxy: str | None = None) -> None:
    """Print the name of a chargebox."""
    context = ssl.create_default_context(cafile=ca_file)
    connector = aiohttp.TCPConnector(ssl=context)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
        thor = ThorClient.from_env(session=session, proxy=proxy)
        print((await thor.get_chargebox(chargebox_id)).alias)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
