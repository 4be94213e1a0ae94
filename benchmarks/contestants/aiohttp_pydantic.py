"""A loop over aiohttp with pydantic's models."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.contestants.interface import Call, one_by_one
from benchmarks.contestants.over_aiohttp import OverAiohttp
from benchmarks.contestants.pydantic_models import Analytics, SessionReport, SessionReports


class AiohttpPydantic(OverAiohttp):
    """Each body is validated as a whole, straight from its bytes."""

    def decoding(self, page: bytes, reports: Sequence[bytes]) -> Call:
        return one_by_one(SessionReport.model_validate_json, reports)

    def reports_of(self, body: bytes) -> Sequence[object]:
        return SessionReports.model_validate_json(body).items

    def analytics_of(self, body: bytes) -> object:
        return Analytics.model_validate_json(body)


PYDANTIC = AiohttpPydantic()
