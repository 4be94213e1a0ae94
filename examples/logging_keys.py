"""Log every request as a line of JSON: `python logging_keys.py ID`."""

from __future__ import annotations

import asyncio
import json
import logging
import sys

from thorclient import ThorClient


class JsonLines(logging.Formatter):
    """Formatter that writes one JSON object per request, with the documented keys of a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the keys of the record as JSON."""
        keys = ("method", "path", "status", "attempt", "elapsed")
        return json.dumps({key: getattr(record, key, None) for key in keys})


async def main(chargebox_id: str) -> None:
    """Send one request, and log it to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("evtransport")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    async with ThorClient.from_env() as thor:
        print((await thor.get_chargebox(chargebox_id)).alias)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
