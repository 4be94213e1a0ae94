"""Arguments of a query: what is refused before any request, and what is sent."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from depotclient import Cursor, DepotClient
from depotclient.query import to_utc
from tests.support.pages import PageTransport

DAY = datetime(2022, 8, 3, tzinfo=UTC)
NOW = datetime(2026, 10, 31, tzinfo=UTC)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
FAR_EAST, FAR_WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
CURSOR = Cursor(
    query={"chargerId": "xyz", "connectorId": "1"},
    pinned={"to": "2022-08-03T00:00:00.000Z"},
    limit=10,
    offset=25,
    recent=(1, 2, 3),
)
DAYS = timedelta(days=2)
WITH_MARGIN = attrs.evolve(
    CURSOR,
    query={**CURSOR.query, "from": "2022-08-03T00:00:00.000Z", "margin": "2 days, 0:00:00"},
)


@attrs.define
class UnknownFields:
    session_id: int
    colour: str | None = None
    wheels: int | None = None


UNANNOTATED = attrs.make_class("Unannotated", ["session_id"])


@pytest.fixture
def depot() -> DepotClient:
    return DepotClient(token="t0k3n")


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"charger_id": ""}, "charger_id must not be empty"),
        ({"connector_id": True}, "connector_id must be a string, not bool"),
        ({"from_": DAY.replace(tzinfo=None)}, "from_ must be aware"),
        ({"to": DAY.replace(tzinfo=None)}, "to must be aware"),
        ({"from_": date(2022, 8, 3)}, "from_ must be a datetime, not date"),
        ({"to": "2022-08-03T00:00:00Z"}, "to must be a datetime, not str"),
        ({"from_": DAY, "to": DAY}, "must be before to=2022-08-03T00:00:00+00:00"),
        ({"from_": DAY, "to": DAY.replace(tzinfo=FAR_EAST)}, "must be before to="),
        ({"from_": datetime(9000, 1, 1, tzinfo=UTC)}, "must be before now"),
        ({"from_": datetime.min.replace(tzinfo=FAR_EAST)}, "from_ is out of range in UTC"),
        ({"to": datetime.max.replace(tzinfo=FAR_WEST)}, "to is out of range in UTC"),
        ({"margin": DAYS}, "margin requires from_, the start of the window"),
        ({"margin": -DAYS, "from_": DAY}, "margin must be from 0 to 366 days, got -2 days"),
        ({"margin": 1, "from_": DAY}, "margin must be from 0 to 366 days, got 1"),
        *(({"limit": limit}, "limit must be an int") for limit in (0, 2001, True, 10.0, "10")),
        *(({"read_ahead": n}, "read_ahead must be an int") for n in (-1, True, 1.0, "1", None)),
        ({"verify": 1}, "verify must be True or False, got 1"),
        ({"into": int}, "into=int is neither an attrs class nor a dataclass; pass one, or a fun"),
        *(({"into": into}, "into must be an attrs class, a") for into in (None, UNANNOTATED(1))),
        (
            {"into": UnknownFields},
            "into=UnknownFields has fields that session reports lack: colour, wheels; they have ",
        ),
        ({"into": UNANNOTATED}, "Unannotated can't be structured from JSON"),
        ({"resume": ""}, "not a cursor of this library"),
        ({"resume": 5}, "not a cursor of this library"),
        ({"resume": str(CURSOR) + "\n"}, "the cursor is garbled"),
        ({"resume": CURSOR, "verify": True}, "can only be resumed from a cursor of such a walk"),
        (
            {"resume": attrs.evolve(CURSOR, query={"chargerId": "abc", "connectorId": "1"})},
            "the cursor belongs to another query: chargerId 'abc' instead of 'xyz'",
        ),
        (
            {"resume": str(CURSOR), "from_": datetime(2022, 1, 1, tzinfo=UTC)},
            "another query: from None instead of '2022-01-01T00:00:00.000Z'",
        ),
        (
            {"resume": str(CURSOR), "to": DAY},
            "another query: to None instead of '2022-08-03T00:00:00.000Z'",
        ),
        (
            {"resume": WITH_MARGIN, "from_": DAY, "margin": DAYS / 2},
            "another query: margin '2 days, 0:00:00' instead of '1 day, 0:00:00'",
        ),
        (
            {"resume": WITH_MARGIN, "from_": DAY},
            "another query: margin '2 days, 0:00:00' instead of None",
        ),
        ({"resume": attrs.evolve(CURSOR, pinned={})}, "another query: no window"),
    ],
)
def test_an_invalid_option_is_rejected_before_any_request(
    depot: DepotClient, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        depot.session_reports(**{"charger_id": "xyz", "connector_id": 1, **options})


def test_a_description_is_immutable_and_shows_only_the_arguments(depot: DepotClient) -> None:
    reports = depot.session_reports("xyz", 1, limit=1, read_ahead=100, verify=True)

    assert (reports.limit, reports.read_ahead, reports.verify) == (1, 100, True)
    assert {name for name in dir(reports) if not name.startswith("_")} == {
        *("query", "limit", "read_ahead", "verify", "resume", "into"),
        *("pages", "walk", "collect"),
    }
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        reports.limit = 5  # type: ignore[misc]


@pytest.mark.parametrize("resume", [CURSOR, str(CURSOR)], ids=["cursor", "text"])
@pytest.mark.parametrize("connector_id", [1, "1"])
def test_a_cursor_or_its_text_resumes_the_same_query(
    depot: DepotClient, resume: Cursor | str, connector_id: int | str
) -> None:
    assert depot.session_reports("xyz", connector_id, resume=resume).resume == CURSOR


def test_a_time_of_a_subclass_becomes_a_plain_time_in_utc() -> None:
    class Time(datetime):
        pass

    time = Time(2022, 8, 3, 2, 30, 1, 999_999, tzinfo=timezone(timedelta(hours=2)))

    assert type(to_utc(time)) is datetime
    assert to_utc(time).isoformat() == "2022-08-03T00:30:01.999999+00:00"


# Requests.


async def first_query(**options: Any) -> dict[str, str]:
    transport = PageTransport()
    assert await transport.client().session_reports("xyz", 7, **options).collect(max_items=1) == []
    return transport.queries[0]


async def test_the_limit_is_always_sent_and_the_end_is_pinned_to_the_start_of_the_walk() -> None:
    before = datetime.now(UTC)
    query = await first_query()
    after = datetime.now(UTC)

    to = query.pop("to")
    assert query == {"chargerId": "xyz", "connectorId": "7", "page": "1", "limit": "10"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", to)
    assert before - timedelta(milliseconds=1) < datetime.fromisoformat(to) <= after


async def test_a_resumed_walk_requests_the_window_that_its_cursor_pinned() -> None:
    cursor = attrs.evolve(CURSOR, query={"chargerId": "xyz", "connectorId": "7"})
    query = await first_query(resume=str(cursor))

    assert (query["page"], query["limit"], query["to"]) == ("3", "10", cursor.pinned["to"])


async def test_the_window_is_sent_in_utc_with_milliseconds() -> None:
    rome = timezone(timedelta(hours=2))
    start = datetime(2022, 8, 3, 18, 20, 30, 661_999, tzinfo=rome)
    query = await first_query(from_=start, to=datetime(2022, 8, 4, tzinfo=UTC), limit=50)

    assert (query["from"], query["to"]) == ("2022-08-03T16:20:30.661Z", "2022-08-04T00:00:00.000Z")
    assert (query["page"], query["limit"]) == ("1", "50")


@pytest.mark.parametrize(
    ("from_", "to", "margin", "sent"),
    [
        (DAY, DAY + DAYS, DAYS, ("2022-08-01T00:00:00.000Z", "2022-08-07T00:00:00.000Z")),
        (DAY, DAY + DAYS, 0 * DAYS, ("2022-08-03T00:00:00.000Z", "2022-08-05T00:00:00.000Z")),
        # Requests end now, unless `to` is later.
        (DAY, NOW - DAYS / 2, DAYS, ("2022-08-01T00:00:00.000Z", "2026-10-31T00:00:00.000Z")),
        (DAY, None, DAYS, ("2022-08-01T00:00:00.000Z", "2026-10-31T00:00:00.000Z")),
        (
            DAY,
            datetime(2100, 1, 1, tzinfo=UTC),
            DAYS,
            ("2022-08-01T00:00:00.000Z", "2100-01-01T00:00:00.000Z"),
        ),
        # No time is before the year 1.
        (FIRST, DAY, DAYS, ("0001-01-01T00:00:00.000Z", "2022-08-05T00:00:00.000Z")),
        (FIRST, LAST, DAYS, ("0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z")),
    ],
)
async def test_a_margin_extends_the_requests_on_both_sides_until_now(
    from_: datetime, to: datetime | None, margin: timedelta, sent: tuple[str, str]
) -> None:
    transport = PageTransport()
    client = transport.client()
    client.now = lambda: NOW
    reports = client.session_reports("xyz", 7, from_=from_, to=to, margin=margin)
    assert await reports.collect(max_items=1) == []

    assert (transport.queries[0]["from"], transport.queries[0]["to"]) == sent
