"""Profile of an account: how its API behaves where the vendor documents nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs

from depotclient.drift import known_paths
from evtransport.profiles import (
    Compression,
    Echo,
    ProfileFormat,
    fields_by_prefix,
    is_number,
    is_unknown_path,
    mapping_field,
    number,
    one_of,
    quote,
    refuse_impossible_shares,
    shares,
    true_or_false,
)

__all__ = ["KNOWN_VALUES", "Compression", "Credentials", "Echo", "LimitRule", "OddLimitRule"]
__all__ += ["Order", "PageRule", "Profile", "TimeFilter", "is_unknown_field"]

Credentials = Literal["token", "client_credentials"]
LimitRule = Literal["clamp"] | int
OddLimitRule = Literal["honoured", "clamp"] | int
Order = Literal["ascending", "descending", "shuffled", "changing"]
PageRule = Literal["empty", "first_page", "null"] | int
TimeFilter = Literal["start", "end", "overlap"]

_FORMAT: Final = ProfileFormat("depotclient.profile", 1, "depotclient probe --profile FILE")

KNOWN_VALUES: Final[Mapping[str, frozenset[str]]] = {
    "ocppStatus[].value": frozenset(
        {
            *("Available", "Preparing", "Charging", "SuspendedEVSE", "SuspendedEV"),
            *("Finishing", "Reserved", "Unavailable", "Faulted"),
        }
    ),
    "chargeParameters[].paramType": frozenset({"Station", "Request"}),
    "sessionMeterValues[].key": frozenset(
        {"present_current", "present_voltage", "requested_current", "requested_voltage"}
    ),
}
"""Values of the open enums, by path: those of OCPP 1.6, the vendor's example and the sandbox."""

_PATHS: Final = known_paths()
FIELDS: Final = fields_by_prefix(_PATHS)
"""Names of the known fields of each object, by the start of their paths."""


def _seconds_by_size(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not (
        isinstance(value, Mapping)
        and all(isinstance(size, int) and size > 0 for size in value)
        and all(is_number(seconds) and 0 <= seconds < float("inf") for seconds in value.values())
    ):
        raise ValueError(
            f"{field.name} must map page sizes (int > 0) to seconds (>= 0), got {quote(value)}"
        )


def is_unknown_field(path: str) -> bool:
    """Return True if a path may be in `Profile.unknown_fields`: it looks like a name, not an id."""
    return is_unknown_path(path, FIELDS)


@attrs.frozen(kw_only=True)
class Profile:
    """Behavior of one account's API, as `depotclient.probe` measures it.

    None means unknown. A profile holds no id, secret, vehicle or value of a report, so that it can
    be passed on. `DepotSandbox(profile=...)` behaves as a profile says. The names are those of its
    arguments.

    Args:
        credentials: Kind of credentials that the API accepts.
        token_lifetime: Lifetime of an issued token, in seconds.
        min_limit: Smallest `limit` that the server honours.
        max_limit: Largest `limit` that the server honours. If the server refuses larger ones, and
            the window has too few sessions for such a page: largest `limit` that it accepts.
        low_limits: Response to a `limit` below `min_limit`: "clamp" serves `min_limit`. A number is
            the status of an error.
        high_limits: Response to a `limit` above `max_limit`: "clamp" serves `max_limit`.
        odd_limits: Response to a `limit` that is not a multiple of 10: "clamp" serves the next
            smaller multiple.
        order: Order of the reports by time. "shuffled" is another order, the same each time.
            "changing" means that a page read twice has another order.
        ignore_page: True if the server returns the first page for every `page`.
        past_the_end: Page after the last report: an empty one, the first one, or "null" instead of
            the list of reports.
        page_zero: Response to page 0.
        time_filter: Time that `from` and `to` filter by: the start of a session, its end, or any
            overlap.
        includes_from: True if a time equal to `from` is in the range.
        includes_to: True if a time equal to `to` is in the range.
        echo: Form of the ids in a response: as requested, in other letters, or absent.
        missing_fields: Share of the objects that lack a field, by path, such as
            `deviceStatus[].errorCodes`. Fields that are never missing are left out.
        null_fields: Share of the objects in which a field is null, by path.
        unknown_fields: Share of the reports with a field that `SessionReport` lacks, by path.
        unknown_values: Share of the values outside of `KNOWN_VALUES`, by path.
        compression: Encoding of the responses.
        latency: Seconds from a request to the start of its response.
        bytes_per_second: Speed of the responses, in decoded bytes.
        page_seconds: Measured seconds for a whole page, by number of reports.
        report_bytes: Median size of a report.
        longest_session: Longest session seen, in whole hours, rounded up.

    Raises:
        ValueError: A value is out of range.

    Example:
        >>> from depotclient.profile import Profile
        >>> profile = Profile(max_limit=500, order="descending")
        >>> Profile.parse(profile.to_json()) == profile
        True
    """

    credentials: Credentials | None = attrs.field(default=None, validator=one_of(Credentials))
    token_lifetime: float | None = attrs.field(default=None, validator=number(0))
    min_limit: int | None = attrs.field(default=None, validator=number(1, whole=True))
    max_limit: int | None = attrs.field(default=None, validator=number(1, whole=True))
    low_limits: LimitRule | None = attrs.field(default=None, validator=one_of(LimitRule))
    high_limits: LimitRule | None = attrs.field(default=None, validator=one_of(LimitRule))
    odd_limits: OddLimitRule | None = attrs.field(default=None, validator=one_of(OddLimitRule))
    order: Order | None = attrs.field(default=None, validator=one_of(Order))
    ignore_page: bool | None = attrs.field(default=None, validator=true_or_false)
    past_the_end: PageRule | None = attrs.field(default=None, validator=one_of(PageRule))
    page_zero: PageRule | None = attrs.field(default=None, validator=one_of(PageRule))
    time_filter: TimeFilter | None = attrs.field(default=None, validator=one_of(TimeFilter))
    includes_from: bool | None = attrs.field(default=None, validator=true_or_false)
    includes_to: bool | None = attrs.field(default=None, validator=true_or_false)
    echo: Echo | None = attrs.field(default=None, validator=one_of(Echo))
    missing_fields: Mapping[str, float] | None = mapping_field(
        shares(_PATHS.__contains__, "vehicleId")
    )
    null_fields: Mapping[str, float] | None = mapping_field(
        shares(_PATHS.__contains__, "vehicleId")
    )
    unknown_fields: Mapping[str, float] | None = mapping_field(
        shares(is_unknown_field, "ocppStatus[].reason")
    )
    unknown_values: Mapping[str, float] | None = mapping_field(
        shares(KNOWN_VALUES.__contains__, "ocppStatus[].value")
    )
    compression: Compression | None = attrs.field(default=None, validator=one_of(Compression))
    latency: float | None = attrs.field(default=None, validator=number(0))
    bytes_per_second: float | None = attrs.field(default=None, validator=number(0, above=True))
    page_seconds: Mapping[int, float] | None = mapping_field(_seconds_by_size)
    report_bytes: int | None = attrs.field(default=None, validator=number(1, whole=True))
    longest_session: int | None = attrs.field(default=None, validator=number(1, whole=True))

    def __attrs_post_init__(self) -> None:
        if self.min_limit and self.max_limit and self.min_limit > self.max_limit:
            raise ValueError(
                f"max_limit must be at least min_limit ({self.min_limit}), got {self.max_limit}"
            )
        if self.odd_limits not in {None, "honoured"} and (self.max_limit or 10) < 10:
            raise ValueError(
                "max_limit must be at least 10 if odd_limits is not 'honoured',"
                f" got {self.max_limit}"
            )
        refuse_impossible_shares(self.missing_fields, self.null_fields)

    @classmethod
    def parse(cls, text: bytes) -> Profile:
        """Return the profile in a JSON text.

        Args:
            text: The result of `to_json`. A field that is null or absent is unknown.

        Raises:
            ValueError: The text is not a profile, has another version, or has a bad value.
        """
        content = _FORMAT.decode(text, cls)
        if isinstance(seconds := content.get("page_seconds"), dict):
            content["page_seconds"] = {_size(name): value for name, value in seconds.items()}
        return cls(**content)

    def to_json(self) -> bytes:
        """Return the profile as JSON, with null for what is unknown.

        The result has a kind, a version and a line for each value, so that two profiles can be
        compared with `diff`.
        """
        return _FORMAT.encode(self)


def _size(name: str) -> int | str:
    return int(name) if re.fullmatch("[0-9]{1,9}", name) else name
