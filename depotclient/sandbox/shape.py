"""Size of the simulated reports."""

from __future__ import annotations

import attrs

from evtransport.validation import validate_int

__all__ = ["ReportShape"]

# Bytes of a report with one error code and no other event, and of one event of each kind.
_EMPTY_BYTES = 1260
_EVENT_BYTES = {
    "meter_values": 84,
    "charge_parameters": 151,
    "detail_states": 90,
    "device_states": 111,
}


@attrs.frozen
class ReportShape:
    """Number of events in a report. The default results in about 208 kB of JSON.

    Args:
        meter_values: Entries of `sessionMeterValues`, four for each point in time.
        charge_parameters: Entries of `chargeParameters`.
        detail_states: Entries of `detailStatus`.
        device_states: Entries of `deviceStatus`.

    Raises:
        ValueError: A count is not an int or is negative.

    Example:
        >>> from depotclient.sandbox import DepotSandbox, ReportShape
        >>> sandbox = DepotSandbox(shape=ReportShape(meter_values=40))
    """

    meter_values: int = 2000
    charge_parameters: int = 200
    detail_states: int = 60
    device_states: int = 30

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(ReportShape):
            validate_int(field.name, getattr(self, field.name), minimum=0)

    @classmethod
    def small(cls) -> ReportShape:
        """Return a shape with a few events of each kind: about 2 kB of JSON.

        Example:
            >>> from depotclient.sandbox import ReportShape
            >>> ReportShape.small().meter_values
            4
        """
        return cls(meter_values=4, charge_parameters=2, detail_states=2, device_states=1)

    @classmethod
    def of_size(cls, report_bytes: int) -> ReportShape:
        """Return a shape whose reports have about a size, at least 1.7 kB of JSON.

        Example:
            >>> from depotclient.sandbox import ReportShape
            >>> ReportShape.of_size(100_000).charge_parameters
            96
        """
        # One event of each kind at least.
        rest = max(0, report_bytes - _EMPTY_BYTES - sum(_EVENT_BYTES.values()))
        usual = {name: getattr(cls(), name) for name in _EVENT_BYTES}
        scale = rest / sum(usual[name] * size for name, size in _EVENT_BYTES.items())
        more = {name: int(count * scale) for name, count in usual.items()}
        rest -= sum(more[name] * size for name, size in _EVENT_BYTES.items())
        more["meter_values"] += round(rest / _EVENT_BYTES["meter_values"])
        return cls(**{name: 1 + count for name, count in more.items()})
