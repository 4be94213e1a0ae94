"""Keys, which identify sessions by id and start."""

from __future__ import annotations

import json
from typing import Any

import pytest

from depotclient.keys import compute_session_key, read_session_id

START, LATER = "2026-01-10T00:00:00.000Z", "2026-01-11T00:00:00.000Z"


def report(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def count_sessions(*reports: bytes) -> int:
    return len({compute_session_key(read_session_id(text), text) for text in reports})


DIFFERENT = {
    "an id with two starts": [
        report(sessionId=-1, sessionTimeStart=START),
        report(sessionId=-1, sessionTimeStart=LATER),
    ],
    "a start with two ids": [
        report(sessionId=-1, sessionTimeStart=START),
        report(sessionId=1, sessionTimeStart=START),
    ],
    "no start, and other bytes": [
        report(sessionId=0, vehicleId="A"),
        report(sessionId=0, vehicleId="B"),
        report(sessionId=0, vehicleId="B", sessionTimeStart=None),
        report(sessionId=1, vehicleId="A"),
    ],
    "no valid id": [
        report(vehicleId="A"),
        report(sessionId=None, vehicleId="A"),
        report(sessionId=5.0, vehicleId="A", sessionTimeStart=START),
        report(sessionId=5.0, vehicleId="B", sessionTimeStart=START),
        b"5",
        b"[" * 10_000 + b"]" * 10_000,
    ],
    "an equal start in another object": [
        report(sessionId=-1, last={"sessionTimeStart": START}, sessionTimeStart=start)
        for start in (START, LATER, None)
    ],
    "an equal start after fields of another object": [
        report(sessionId=-1, last={"sessionId": 7, "sessionTimeStart": START}, vehicleId=vehicle)
        for vehicle in "AB"
    ],
    "an equal start in another object, before the id": [
        report(last=[{"sessionTimeStart": START}], sessionId=-1, sessionTimeStart=start)
        for start in (START, LATER)
    ],
    "a start that is not a text": [
        report(sessionId=-1, last={"sessionTimeStart": START}, sessionTimeStart=n) for n in (1, 2)
    ],
}


@pytest.mark.parametrize("reports", DIFFERENT.values(), ids=DIFFERENT)
def test_different_sessions_have_different_keys(reports: list[bytes]) -> None:
    assert count_sessions(*reports) == len(reports)


SAME = {
    "more events": [
        report(sessionId=-1, sessionTimeStart=START),
        report(sessionId=-1, ocppStatus=[{"value": "A"}], sessionTimeStart=START),
        report(sessionTimeStart=START, vehicleId="A", sessionId=-1),
    ],
    "another layout": [
        b'{"sessionId":7,"sessionTimeStart":"2026"}',
        b'\n{ "sessionId" : 7 , "sessionTimeStart" :\t"2026" } ',
    ],
    "more in another object": [
        report(sessionId=-1, last={"a": n, "sessionTimeStart": START}, sessionTimeStart=LATER)
        for n in (1, 2)
    ],
}


@pytest.mark.parametrize("reports", SAME.values(), ids=SAME)
def test_reports_of_one_session_have_the_same_key(reports: list[bytes]) -> None:
    assert count_sessions(*reports) == 1
