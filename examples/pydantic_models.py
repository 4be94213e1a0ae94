"""Read session reports as pydantic models: `python pydantic_models.py CHARGER CONNECTOR`."""

from __future__ import annotations

import asyncio
import sys

from pydantic import BaseModel, Field

from depotclient import DepotClient


class Session(BaseModel):
    """The fields that this program needs, under their JSON names."""

    id: int = Field(alias="sessionId")
    vehicle: str | None = Field(default=None, alias="vehicleId")


async def main(charger_id: str, connector_id: str) -> None:
    """Print the vehicle of each session."""
    async with DepotClient.from_env() as depot:
        reports = depot.session_reports(charger_id, connector_id, into=Session.model_validate_json)
        async for session in reports:
            print(session.id, session.vehicle)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
