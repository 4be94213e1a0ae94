"""Requests of the sandbox: the query of a page, and the rejection of invalid requests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

import attrs
import msgspec

from depotclient.sandbox.store import AwareTime, epoch_us
from evtransport.testing.faults import SandboxResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PageQuery", "RefusedError"]

_DEFAULT_LIMIT = 3


class RefusedError(Exception):
    """A request that is rejected with an error status and a JSON `message`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.response = SandboxResponse.json({"message": message}, status)


@attrs.frozen
class PageQuery:
    """Query of `GET /v1/sessionReports`. `start` and `end` are in microseconds since 1970."""

    page: int
    limit: int
    start: int | None
    end: int | None
    charger_id: str
    connector_id: str

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Self:
        """Return the query of a request. Raise RefusedError if a parameter is invalid."""
        page, limit = _parse_count(query, "page", 1), _parse_count(query, "limit", _DEFAULT_LIMIT)
        times = _parse_time(query, "from"), _parse_time(query, "to")
        return cls(
            page, limit, *times, _require(query, "chargerId"), _require(query, "connectorId")
        )


def _require(query: Mapping[str, str], name: str) -> str:
    if not query.get(name):
        raise RefusedError(400, f"{name} is missing")
    return query[name]


def _parse_count(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise RefusedError(400, f"{name} must be a whole number")
    return int(text)


def _parse_time(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    try:
        return epoch_us(msgspec.convert(query[name], AwareTime))
    except msgspec.ValidationError:
        raise RefusedError(400, f"{name} must be an RFC 3339 date-time") from None
