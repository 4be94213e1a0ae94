"""A loop over aiohttp and `json`: the reports stay dicts, and the times strings."""

from __future__ import annotations

import json
from collections.abc import Sequence

from benchmarks.contestants.interface import Call, one_by_one
from benchmarks.contestants.over_aiohttp import OverAiohttp


class Plain(OverAiohttp):
    """The least that one can write."""

    def decoding(self, page: bytes, reports: Sequence[bytes]) -> Call:
        return one_by_one(json.loads, reports)

    def reports_of(self, body: bytes) -> Sequence[object]:
        items: list[object] = json.loads(body)["items"]
        return items

    def analytics_of(self, body: bytes) -> object:
        return json.loads(body)


PLAIN = Plain()
