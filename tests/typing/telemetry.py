"""Telemetry as a user writes it, for type checkers. Nothing runs this file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import assert_type

import depotclient
import thorclient
from depotclient import DepotClient
from evtransport.otel import OpenTelemetry
from thorclient import ThorClient


class MySink(depotclient.Telemetry):
    """Sink of a user."""

    @contextmanager
    def call(self, call: depotclient.Call) -> Iterator[None]:
        yield
        assert_type(call.error, str)

    def attempt(self, attempt: depotclient.Attempt) -> AbstractContextManager[None]:
        assert_type(attempt.status, int | None)
        return nullcontext()

    def event(self, event: thorclient.Event) -> None:
        match event:
            case thorclient.Retry():
                assert_type(event.wait, float)
            case thorclient.TokenFetched():
                assert_type(event.lifetime, float | None)
            case depotclient.PageRead():
                assert_type(event.reports + event.size, int)
            case _:
                assert_type(event, thorclient.Decoded)


async def telemetry(client: DepotClient) -> None:
    ThorClient.from_env(telemetry=MySink())
    DepotClient.from_env(telemetry=OpenTelemetry(ids=False))
    assert_type(client.with_options(telemetry=OpenTelemetry()), DepotClient)
    assert_type(client.with_options(telemetry=None), DepotClient)
    ThorClient(api_key="key", telemetry=MySink)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
