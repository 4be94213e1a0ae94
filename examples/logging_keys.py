"""Log every request as a line of JSON: `python logging_keys.py ID`."""

from __future__ import annotations

import asyncio
import json
import logging
import sys

from thorclient import ThorClient


# region README
class JsonLines(logging.Formatter):
    """One JSON object for each request, made of the keys that the library guarantees."""

    def format(self, record: logging.LogRecord) -> str:
        """Leave out what other records may hold."""
        keys = ("method", "path", "status", "attempt", "elapsed")
        return json.dumps({key: getattr(record, key, None) for key in keys})


async def main(chargebox_id: str) -> None:
    """Ask once, with a log on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("evtransport")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    async with ThorClient.from_env() as thor:
        print((await thor.get_chargebox(chargebox_id)).alias)


# endregion


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
