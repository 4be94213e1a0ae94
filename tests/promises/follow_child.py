"""Run an example of `follow` in a process of its own."""

from __future__ import annotations

import asyncio
import os
import runpy
from collections.abc import Mapping
from datetime import timedelta

import attrs

# Here, because later imports would count as audit events.
import psycopg  # noqa: F401

import depotclient.follow  # noqa: F401
from tests.support.examples import EXAMPLES

CONNECTORS = [("CP-001", "1"), ("CP-001", "2"), ("CP-002", "1")]
EVERY = timedelta(milliseconds=50)


@attrs.frozen
class Follower:
    """Example that stores sessions until its process is killed.

    Attributes:
        example: Name of the file.
        database: File or address of the database.
        environment: Environment variables of the client.
    """

    example: str
    database: str
    environment: Mapping[str, str]

    def __call__(self) -> None:
        """Run the example in this process."""
        os.environ.update(self.environment)
        main = runpy.run_path(str(EXAMPLES / self.example))["main"]
        asyncio.run(main(self.database, CONNECTORS, EVERY))
