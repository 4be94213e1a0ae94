"""Call endpoints by their path: `python other_endpoints.py ID`."""

from __future__ import annotations

import asyncio
import sys

import attrs

from thorclient import ThorClient


@attrs.frozen
class Name:
    """The fields of a chargebox that this program needs."""

    id: str
    alias: str | None


async def main(chargebox_id: str) -> None:
    """Print one response as JSON values, and one as objects of a class."""
    async with ThorClient.from_env() as thor:
        print(await thor.get("analytics", chargebox_id))
        query = {"onlyactive": False}
        for name in await thor.get("chargeboxes", query=query, into=list[Name]):
            print(name.id, name.alias)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
