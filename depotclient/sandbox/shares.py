"""Reports in which given shares of the fields are missing, null or unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import msgspec

from evtransport.testing.shares import FieldShares

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ReportShares"]


@attrs.frozen
class ReportShares:
    """Shares of missing, null and unknown fields. See `Profile` for the attributes.

    Any run of consecutive session ids has the shares as exactly as whole numbers allow. If
    `missing_fields` is None, reports lack only the error codes of devices without an error.
    """

    missing_fields: Mapping[str, float] | None
    null_fields: Mapping[str, float]
    unknown_fields: Mapping[str, float]
    unknown_values: Mapping[str, float]

    def apply(self, session_id: int, report: bytes) -> bytes:
        """Return the JSON of a report with these shares."""
        if self.missing_fields is None and not any(attrs.astuple(self, recurse=False)):
            return report
        content = msgspec.json.decode(report)
        if self.missing_fields is not None:
            for fields in content["deviceStatus"]:
                fields.setdefault("errorCodes", [])
        shares = FieldShares(
            missing_fields=self.missing_fields or {},
            null_fields=self.null_fields,
            unknown_fields=self.unknown_fields,
            unknown_values=self.unknown_values,
        )
        shares.apply(session_id, content)
        return msgspec.json.encode(content)
