"""Log records of requests and retries."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import attrs
import msgspec
import pytest

from evtransport import Transport
from evtransport.http import Request
from evtransport.structure import decode
from tests.support.wire import Wire, hang_up, reply

SECRET = "s3cr3t/k3y"
REQUEST = Request(("greeting",), partial(decode, decoder=msgspec.json.Decoder()))
HELLO = reply(b'{"hello": "world"}')

Connect = Callable[..., Transport]


async def test_each_request_is_logged_at_debug_level_with_stable_keys(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    async with Wire(HELLO, hang_up(), HELLO) as wire:
        for level in (logging.INFO, logging.DEBUG):
            caplog.set_level(level, logger="evtransport")
            await connect(wire).send(REQUEST)

    records = [vars(record) for record in caplog.records if record.name == "evtransport"]
    names = ("method", "path", "status", "attempt", "levelname")
    assert [[record[name] for name in names] for record in records] == [
        ["GET", "greeting", None, 1, "DEBUG"],
        ["GET", "greeting", None, 2, "WARNING"],
        ["GET", "greeting", 200, 2, "DEBUG"],
    ]
    assert all(record["elapsed"] >= 0 for record in records if record["levelname"] == "DEBUG")
    assert "GET greeting: 200 (attempt 2, " in caplog.text
    assert SECRET not in repr(records)


async def test_each_retry_is_one_warning_with_the_request_the_reason_and_the_wait(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    request = attrs.evolve(
        REQUEST, query=(("key", SECRET), ("page", "3")), title=f"{SECRET} page 3"
    )
    scripts = (reply(status=503, headers={"Retry-After": "2"}), reply(b"{", status=200), HELLO)
    async with Wire(*scripts) as wire:
        transport = connect(wire, uniform=lambda low, high: high)
        await transport.send(request)

    label = "GET ********** page 3"
    reason = "the body is not JSON in UTF-8: Input data was truncated"
    assert [record.getMessage() for record in caplog.records] == [
        f"{label}: 503, attempt 2 of 3 in 2.0 s",
        f"{label}: {reason}, attempt 3 of 3 in 1.0 s",
    ]
    fields = vars(caplog.records[0])
    names = ("method", "path", "label", "status", "reason", "attempt", "attempts", "wait")
    expected = ["GET", "greeting", label, 503, "503", 2, 3, 2.0]
    assert [fields[name] for name in names] == expected
    assert fields["context"] == {"key": "**********", "page": "3"}
