"""Counts of missing, null and unknown fields and of unknown enum values, without any value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import attrs

from evtransport.measurements import FieldCounter
from evtransport.profiles import normalized_ids
from evtransport.structure import JsonValue
from thorclient.profile import FIELDS, KNOWN_PATHS, KNOWN_VALUES, is_unknown_field, may_be_absent

__all__ = ["FieldCounts", "JsonObject", "is_known"]

JsonObject: TypeAlias = Mapping[str, JsonValue]


def is_known(kind: str, document: JsonObject) -> bool:
    """Return True if an object has a documented field of its kind."""
    return not document.keys().isdisjoint(FIELDS[f"{kind}."])


@attrs.define(eq=False)
class FieldCounts(FieldCounter):
    """Counts over the chargeboxes and analytics added so far. Their ids join the `ids`.

    Attributes:
        documents: Number of objects by kind: `analytics` or `chargebox`.
    """

    documents: Counter[str] = attrs.field(factory=Counter[str], init=False)

    def add(self, kind: str, document: JsonObject) -> None:
        """Count the fields of one chargebox or of its analytics.

        An object without any known field does not count: it may be an error with status 200.
        """
        if not is_known(kind, document):
            return
        self.documents[kind] += 1
        self._ids |= normalized_ids([str(document.get("id"))])
        unknown = set[str]()
        for prefix, fields in _objects_below(f"{kind}.", document):
            for name in FIELDS[prefix]:
                self._count(prefix + name, name, fields)
            names = {prefix + name for name, value in fields.items() if value is not None}
            new = names - KNOWN_PATHS
            unknown.update(filter(is_unknown_field, new))
            self._has_ids |= not new <= unknown
        self._unknown.update(unknown)

    def _count(self, path: str, name: str, fields: JsonObject) -> None:
        value = fields.get(name)
        if may_be_absent(path):
            self._missing.add(path, name not in fields)
            self._null.add(path, name in fields and value is None)
        if isinstance(value, str) and path in KNOWN_VALUES:
            self._unknown_values.add(path, value not in KNOWN_VALUES[path])

    def _count_of(self, path: str) -> int:
        return self.documents[path.partition(".")[0]]


def _objects_below(prefix: str, fields: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Yield an object and those in its fields, with the starts of their fields' paths."""
    yield prefix, fields
    for name in FIELDS[prefix]:
        value, below = fields.get(name), f"{prefix}{name}"
        if isinstance(value, dict) and f"{below}." in FIELDS:
            yield from _objects_below(f"{below}.", value)
        if isinstance(value, list) and f"{below}[]." in FIELDS:
            for item in value:
                if isinstance(item, dict):
                    yield from _objects_below(f"{below}[].", item)
