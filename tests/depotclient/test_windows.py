"""Windows: which reports belong to one, by the times in their JSON texts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from depotclient.windows import SessionWindow

AUGUST_3 = SessionWindow(datetime(2022, 8, 3, tzinfo=UTC), datetime(2022, 8, 4, tzinfo=UTC))
BEFORE, INSIDE, AFTER = "2022-08-02T23:59:59.999Z", "2022-08-03T12:00:00Z", "2022-08-04T00:00:00Z"


@pytest.mark.parametrize(
    ("report", "is_accepted"),
    [
        ({"sessionTimeStart": BEFORE, "sessionTimeEnd": INSIDE}, False),
        ({"sessionTimeStart": "2022-08-03T02:00:00+02:00", "sessionTimeEnd": AFTER}, True),
        ({"sessionTimeStart": "2022-08-03T01:59:59+02:00"}, False),
        ({"sessionTimeStart": "2022-08-03T23:59:59.999Z"}, True),
        ({"sessionTimeStart": AFTER}, False),
        # Without a start, the end decides.
        ({"sessionTimeStart": None, "sessionTimeEnd": INSIDE}, True),
        ({"sessionTimeStart": "", "sessionTimeEnd": AFTER}, False),
        ({"sessionId": 1}, True),
        # Structuring these raises the error.
        ({"sessionTimeStart": "yesterday"}, True),
        ({"sessionTimeStart": 5, "sessionTimeEnd": AFTER}, True),
        ({"sessionTimeEnd": "2022-08-02T00:00:00"}, True),
        (5, True),
        # Only the times of the session itself count.
        ({"other": {"inner": {}, "sessionTimeStart": INSIDE}, "sessionTimeStart": AFTER}, False),
        ({"other": "\ud83d", "sessionTimeStart": AFTER}, False),
        ({"other": "sessionTimeStart", "sessionTimeStart": AFTER}, False),
        ({"sessionTimeStart": AFTER, "other": {"sessionTimeStart": INSIDE}}, False),
    ],
)
def test_a_report_belongs_to_the_window_of_its_start(report: Any, is_accepted: bool) -> None:
    assert AUGUST_3.accepts(msgspec.Raw(json.dumps(report).encode())) is is_accepted
