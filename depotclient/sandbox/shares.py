"""Reports in which given shares of the fields are missing, null or unknown."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from math import gcd, lcm
from typing import TYPE_CHECKING, Any, TypeAlias
from zlib import crc32

import attrs
import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FieldShares"]

_Object: TypeAlias = "dict[str, Any]"

_UNKNOWN = "SandboxUnknown"
_GOLDEN = 0.618034
_MAX_DENOMINATOR = 10_000


@attrs.frozen
class FieldShares:
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
        content: _Object = msgspec.json.decode(report)
        missing = self.missing_fields or {}
        if self.missing_fields is not None:
            for fields in content["deviceStatus"]:
                fields.setdefault("errorCodes", [])
        for path, share in self.unknown_values.items():
            _replace_values(content, path, share, session_id)
        for path, share in self.unknown_fields.items():
            objects, name = _find_objects(content, path)
            if _draw(session_id, path, Fraction(share)) is not None:
                for fields in objects:
                    fields[name] = _UNKNOWN
        # Inner fields first, because they vanish with the outer ones.
        for path in sorted({*missing, *self.null_fields}, key=_depth, reverse=True):
            shares = Fraction(missing.get(path, 0)), Fraction(self.null_fields.get(path, 0))
            _remove_fields(content, path, shares, session_id)
        return msgspec.json.encode(content)


def _replace_values(report: _Object, path: str, share: float, session_id: int) -> None:
    objects, name = _find_objects(report, path)
    objects = [fields for fields in objects if isinstance(fields.get(name), str)]
    for number, fields in enumerate(objects, session_id * len(objects)):
        if _draw(number, path, Fraction(share)) is not None:
            fields[name] = _UNKNOWN


def _remove_fields(
    report: _Object, path: str, shares: tuple[Fraction, Fraction], session_id: int
) -> None:
    """Remove a field from the first share of the objects, and set it to null in the second."""
    objects, name = _find_objects(report, path)
    objects = [fields for fields in objects if name in fields]
    for number, fields in enumerate(objects, session_id * len(objects)):
        match _draw(number, path, *shares):
            case 0:
                del fields[name]
            case 1:
                fields[name] = None


def _find_objects(report: _Object, path: str) -> tuple[list[_Object], str]:
    """Return the objects that may have the field at a path, and its name in them."""
    *parents, name = path.split(".")
    objects = [report]
    for parent in parents:
        values = [fields.get(parent.removesuffix("[]")) for fields in objects]
        objects = [
            item for value in values if value for item in (value if "[]" in parent else [value])
        ]
    return objects, name


def _draw(number: int, path: str, *shares: Fraction) -> int | None:
    """Return the index of the share that a number belongs to, or None.

    The multiples of the golden ratio, modulo 1, are spread evenly. Here they are fractions, so
    that after a common denominator each share is exact.
    """
    shares = tuple(share.limit_denominator(_MAX_DENOMINATOR) for share in shares)
    denominator = lcm(*(share.denominator for share in shares))
    # Otherwise the same sessions would lack all fields.
    position = (number + crc32(path.encode())) * _golden_step(denominator) % denominator
    for index, bound in enumerate(accumulate(shares)):
        if position < bound * denominator:
            return index
    return None


@lru_cache
def _golden_step(denominator: int) -> int:
    step = round(denominator * _GOLDEN)
    while gcd(step, denominator) != 1:
        step += 1
    return step


def _depth(path: str) -> int:
    return path.count(".")
