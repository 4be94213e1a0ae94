"""Which chargeboxes a request selects."""

from __future__ import annotations

from typing import Any

import pytest

from thorclient import Chargebox, Connector, Coordinates
from thorclient.selection import Selection

BOLOGNA = (44.4, 11.2, 44.6, 11.5)
FIJI = (-20.0, 177.0, -15.0, -178.0)


def box(**fields: Any) -> Chargebox:
    return Chargebox(**{"id": "TB-1", "active": True, **fields})


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ((True, None, None), {"onlyactive": "true"}),
        ((False, None, "ccs"), {"onlyactive": "0", "type": "ccs"}),
        (
            (True, BOLOGNA, None),
            {"cswlat": "44.4", "cswlng": "11.2", "cnelat": "44.6", "cnelng": "11.5"},
        ),
    ],
)
def test_a_query_and_its_selection_are_equal(arguments: Any, query: dict[str, str]) -> None:
    assert Selection.validated(*arguments) == Selection.parse(query)
    assert Selection.validated(*arguments).query().keys() >= query.keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, None, None), "only_active must be True or False, got 1"),
        ((True, None, ""), "connector_type must not be empty"),
        ((True, None, 5), "connector_type must be a string, not int"),
        *(
            ((True, area, None), "within must be .south, west, north, east. in degrees: south <")
            for area in (
                *((44.4, 11.2, 44.6), "4444", 44.4, (44.4, 11.2, 44.6, "11.5")),
                *((44.6, 11.2, 44.4, 11.5), (44.4, 11.2, 44.4, 11.5), (44.4, 11.5, 44.6, 11.5)),
                *((-90.1, 0, 0, 1), (0, 0, 90.1, 1), (0, -180.1, 1, 1), (0, 0, 1, 180.1)),
                *((float("nan"), 0, 1, 1), (0, 0, True, 1)),
            )
        ),
    ],
)
def test_an_invalid_argument_is_rejected_by_name(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Selection.validated(*arguments)


@pytest.mark.parametrize(
    ("query", "chargebox", "matches"),
    [
        ({}, box(), True),
        ({}, box(active=False), False),
        ({}, box(active=None), False),
        ({"onlyactive": "false"}, box(active=None), True),
        ({"type": "ccs"}, box(), False),
        ({"type": "ccs"}, box(connectors=[Connector(type="schuko"), Connector(type="ccs")]), True),
    ],
)
def test_a_chargebox_is_selected_by_state_and_type(
    query: dict[str, str], chargebox: Chargebox, matches: bool
) -> None:
    assert Selection.parse(query).matches(chargebox) is matches


@pytest.mark.parametrize(
    ("area", "place", "matches"),
    [
        (BOLOGNA, Coordinates(44.5, 11.3), True),
        (BOLOGNA, Coordinates(44.4, 11.5), True),
        (BOLOGNA, Coordinates(11.3, 44.5), False),
        (BOLOGNA, Coordinates(44.5, 11.6), False),
        (BOLOGNA, Coordinates(44.5, 11.1), False),
        (BOLOGNA, Coordinates(44.7, 11.3), False),
        (BOLOGNA, Coordinates(None, 11.3), False),
        (BOLOGNA, Coordinates(44.5, None), False),
        (BOLOGNA, None, False),
        (FIJI, Coordinates(-18.1, 178.4), True),
        (FIJI, Coordinates(-18.1, -179.9), True),
        (FIJI, Coordinates(-18.1, 0.0), False),
    ],
)
def test_a_rectangle_selects_the_places_in_it_and_on_its_edge(
    area: Any, place: Coordinates | None, matches: bool
) -> None:
    assert Selection.validated(True, area, None).matches(box(coordinates=place)) is matches
