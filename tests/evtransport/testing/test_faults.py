"""Faults of a sandbox, applied to a response."""

from __future__ import annotations

import gzip
import math
import zlib
from typing import Any

import attrs
import msgspec
import pytest

from evtransport.testing.faults import Fault, SandboxResponse, validate_number

PAYLOAD = {"items": [1, 2, 3], "name": "zoë"}
GOOD = SandboxResponse.json(PAYLOAD, 206)
HALF = GOOD.body[: len(GOOD.body) // 2]
MESSAGE = b'{"message": "a fault of the sandbox"}'


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (None, GOOD),
        (Fault.stall(1), GOOD),
        (Fault.disconnect(), None),
        (Fault.status(503), SandboxResponse(MESSAGE, 503)),
        (Fault.status(204), SandboxResponse(b"", 204)),
        (Fault.status(304), SandboxResponse(b"", 304)),
        (Fault.status(200, body="null"), SandboxResponse(b"null")),
        (Fault.status(200, body=b"null"), SandboxResponse(b"null")),
        (
            Fault.status(429, retry_after=0),
            SandboxResponse(MESSAGE, 429, headers={"Retry-After": "0"}),
        ),
        (Fault.truncate(), SandboxResponse(GOOD.body, 206, sent=len(HALF))),
        (Fault.garbage(), SandboxResponse(HALF)),
    ],
)
def test_a_fault_changes_the_response(
    fault: Fault | None, expected: SandboxResponse | None
) -> None:
    assert GOOD.apply_fault(fault) == expected


def test_an_html_fault_is_a_page_with_status_200() -> None:
    page = GOOD.apply_fault(Fault.html())
    assert page is not None
    assert (page.status, page.content_type) == (200, "text/html")
    assert page.body.startswith(b"<!doctype html>")


def test_bad_utf8_is_inside_a_string() -> None:
    bad = GOOD.apply_fault(Fault.bad_utf8())
    assert bad is not None
    assert bad.status == 200
    with pytest.raises(UnicodeDecodeError):
        bad.body.decode()
    assert msgspec.json.decode(bad.body.decode("utf-8", "ignore")) == PAYLOAD


@pytest.mark.parametrize("code", [199, 600, 200.0])
def test_an_impossible_status_is_rejected(code: int) -> None:
    with pytest.raises(ValueError, match="code"):
        Fault.status(code)


@pytest.mark.parametrize("value", [-0.1, 2.1, math.nan, "1", True])
def test_a_number_out_of_range_is_rejected(value: object) -> None:
    with pytest.raises(ValueError, match="rate must be a number from 0 to 2, got"):
        validate_number("rate", value, maximum=2)
    with pytest.raises(ValueError, match="seconds must be a finite number >= 0, got inf"):
        Fault.stall(math.inf)


@pytest.mark.parametrize(("encoding", "decompress"), [("gzip", gzip), ("deflate", zlib)])
def test_a_compressed_response_names_its_encoding(encoding: str, decompress: Any) -> None:
    packed = attrs.evolve(GOOD, encoding=encoding).compressed()
    assert decompress.decompress(packed.body) == GOOD.body
    assert (packed.headers, packed.status) == ({"Content-Encoding": encoding}, 206)
    assert packed.compressed() is packed


def test_half_of_a_response_is_half_of_its_compressed_form() -> None:
    half = attrs.evolve(GOOD, encoding="gzip").apply_fault(Fault.truncate())
    assert half is not None
    packed = half.compressed()
    assert packed.sent == len(packed.body) * len(HALF) // len(GOOD.body)
