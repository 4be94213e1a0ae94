"""Selection of chargeboxes: the query of "Get chargeboxes", and what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import attrs

from evtransport.query import QueryValue
from evtransport.validation import validate_bool, validate_id
from thorclient.models import Chargebox, Coordinates

__all__ = ["Area", "Selection", "validate_area"]

Area: TypeAlias = tuple[float, float, float, float]
"""South, west, north and east edges of a rectangle, in degrees."""

_CORNERS = ("cswlat", "cswlng", "cnelat", "cnelng")
_BOOLS = {"true": True, "1": True, "false": False, "0": False}


@attrs.frozen
class Selection:
    """Chargeboxes of a request.

    Attributes:
        only_active: Whether to leave out chargeboxes that are not active in the dashboard.
        within: Rectangle of their positions. A west that is greater than the east means a rectangle
            across the 180th meridian. None means everywhere.
        connector_type: Type of at least one connector. None means any type.
    """

    only_active: bool
    within: Area | None
    connector_type: str | None

    @classmethod
    def validated(cls, only_active: object, within: object, connector_type: object) -> Selection:
        """Return the selection that the caller's arguments describe.

        Raises:
            ValueError: An argument is invalid.
        """
        only_active = validate_bool("only_active", only_active)
        area = None if within is None else validate_area("within", within)
        if connector_type is not None:
            connector_type = validate_id("connector_type", connector_type)
        return cls(only_active, area, connector_type)

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Selection:
        """Return the selection for the query of a request.

        Raises:
            ValueError: A parameter is invalid, or a corner is incomplete.
        """
        corners = [query[name] for name in _CORNERS if name in query]
        return cls.validated(
            _BOOLS.get(query.get("onlyactive", "true")),
            [float(corner) for corner in corners] or None,
            query.get("type"),
        )

    def query(self) -> dict[str, QueryValue]:
        """Return the parameters of the request."""
        corners = dict(zip(_CORNERS, self.within or (), strict=False))
        return {"onlyactive": self.only_active, **corners, "type": self.connector_type}

    def matches(self, box: Chargebox) -> bool:
        """Return True if a chargebox belongs to the selection."""
        return (
            (box.active is True or not self.only_active)
            and (self.within is None or _contains(self.within, box.coordinates))
            and self.connector_type in {None, *(connector.type for connector in box.connectors)}
        )


def validate_area(name: str, area: object) -> Area:
    """Return an area if it is a rectangle.

    Args:
        name: Name of the argument, used in the message.
        area: Value to check.

    Raises:
        ValueError: The value is not four numbers, or they form no rectangle.
    """
    numbers = tuple(area) if isinstance(area, Sequence) and not isinstance(area, str) else ()
    if len(numbers) == 4 and all(map(_is_number, numbers)):
        south, west, north, east = numbers
        in_range = -90 <= south < north <= 90 and -180 <= west <= 180 and -180 <= east <= 180
        if in_range and west != east:
            return south, west, north, east
    raise ValueError(
        f"{name} must be (south, west, north, east) in degrees: south < north, both from -90 to 90;"
        f" west and east from -180 to 180, not equal; got {area!r}"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _contains(area: Area, place: Coordinates | None) -> bool:
    if place is None or place.latitude is None or place.longitude is None:
        return False
    south, west, north, east = area
    from_west, to_east = west <= place.longitude, place.longitude <= east
    in_between = from_west and to_east if west < east else from_west or to_east
    return south <= place.latitude <= north and in_between
