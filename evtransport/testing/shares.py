"""Objects in which given shares of the fields are missing, null or unknown."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from math import gcd, lcm
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from zlib import crc32

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FieldShares"]

_Object: TypeAlias = "dict[str, Any]"

_UNKNOWN: Final = "SandboxUnknown"
_GOLDEN: Final = 0.618034
_MAX_DENOMINATOR: Final = 10_000


@attrs.frozen(kw_only=True)
class FieldShares:
    """Shares of missing, null and unknown fields, by the path of the field, such as `items[].id`.

    Any run of consecutive numbers has the shares as exactly as whole numbers allow.

    Example:
        >>> shares = FieldShares(missing_fields={"alias": 0.5})
        >>> boxes = [{"alias": "a"}, {"alias": "b"}]
        >>> for number, box in enumerate(boxes):
        ...     shares.apply(number, box)
        >>> sorted(boxes, key=len)
        [{}, {'alias': ...}]
    """

    missing_fields: Mapping[str, float] = attrs.field(factory=dict)
    null_fields: Mapping[str, float] = attrs.field(factory=dict)
    unknown_fields: Mapping[str, float] = attrs.field(factory=dict)
    unknown_values: Mapping[str, float] = attrs.field(factory=dict)

    def apply(self, number: int, content: _Object) -> None:
        """Change the decoded JSON of the object with a number."""
        for path, share in self.unknown_values.items():
            _replace_values(content, path, share, number)
        for path, share in self.unknown_fields.items():
            objects, name = _find_objects(content, path)
            if _draw(number, path, Fraction(share)) is not None:
                for fields in objects:
                    fields[name] = _UNKNOWN
        # Inner fields first, because they vanish with the outer ones.
        paths = {*self.missing_fields, *self.null_fields}
        for path in sorted(paths, key=lambda path: path.count("."), reverse=True):
            missing, null = self.missing_fields.get(path, 0), self.null_fields.get(path, 0)
            _remove_fields(content, path, (Fraction(missing), Fraction(null)), number)


def _replace_values(content: _Object, path: str, share: float, number: int) -> None:
    objects, name = _find_objects(content, path)
    objects = [fields for fields in objects if isinstance(fields.get(name), str)]
    for index, fields in enumerate(objects, number * len(objects)):
        if _draw(index, path, Fraction(share)) is not None:
            fields[name] = _UNKNOWN


def _remove_fields(
    content: _Object, path: str, shares: tuple[Fraction, Fraction], number: int
) -> None:
    """Remove a field from the first share of the objects, and set it to null in the second."""
    objects, name = _find_objects(content, path)
    objects = [fields for fields in objects if name in fields]
    for index, fields in enumerate(objects, number * len(objects)):
        match _draw(index, path, *shares):
            case 0:
                del fields[name]
            case 1:
                fields[name] = None


def _find_objects(content: _Object, path: str) -> tuple[list[_Object], str]:
    """Return the objects that may have the field at a path, and its name in them."""
    *parents, name = path.split(".")
    objects = [content]
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
    # Otherwise the same objects would lack all fields.
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
