"""Counts of missing, null and unknown fields and of unknown enum values, without any value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import attrs

from evtransport.measurements import ShareCounter
from evtransport.profiles import named_after, normalized_ids
from evtransport.structure import JsonValue
from thorclient.profile import KNOWN_PATHS, KNOWN_VALUES, is_unknown_field, may_be_absent

__all__ = ["FieldCounts", "JsonObject", "is_known"]

JsonObject: TypeAlias = Mapping[str, JsonValue]


def _group_paths() -> dict[str, tuple[str, ...]]:
    """Return the names of the fields of each object, by the path of the object."""
    groups: dict[str, tuple[str, ...]] = {}
    for path in sorted(KNOWN_PATHS):
        parent, _, name = path.rpartition(".")
        groups[parent] = (*groups.get(parent, ()), name)
    return groups


_FIELDS: Final = _group_paths()


def is_known(kind: str, document: JsonObject) -> bool:
    """Return True if an object has a documented field of its kind."""
    return not document.keys().isdisjoint(_FIELDS[kind])


@attrs.define(eq=False)
class FieldCounts:
    """Counts over the chargeboxes and analytics added so far.

    Attributes:
        documents: Number of objects by kind: `analytics` or `chargebox`.
    """

    documents: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _ids: set[str] = attrs.field(factory=set[str], init=False)
    _has_ids: bool = attrs.field(default=False, init=False)
    _missing: ShareCounter = attrs.field(factory=ShareCounter, init=False)
    _null: ShareCounter = attrs.field(factory=ShareCounter, init=False)
    _unknown: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _unknown_values: ShareCounter = attrs.field(factory=ShareCounter, init=False)

    def add(self, kind: str, document: JsonObject) -> None:
        """Count the fields of one chargebox or of its analytics.

        An object without any known field does not count: it may be an error with status 200.
        """
        if not is_known(kind, document):
            return
        self.documents[kind] += 1
        self._ids |= normalized_ids([str(document.get("id"))])
        unknown = set[str]()
        for path, fields in _objects_below(kind, document):
            for name in _FIELDS[path]:
                self._count(f"{path}.{name}", name, fields)
            names = {f"{path}.{name}" for name, value in fields.items() if value is not None}
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

    @property
    def has_ids(self) -> bool:
        """True if an unknown field is named after an id, or looks like one."""
        return self._has_ids or named_after(self._ids, self._unknown)

    def shares(self) -> dict[str, dict[str, float]]:
        """Return the shares by path, by their names in `Profile`."""
        totals = {path: self.documents[path.partition(".")[0]] for path in self._unknown}
        unknown = {path: n / totals[path] for path, n in sorted(self._unknown.items())}
        return {
            "missing_fields": self._missing.shares(),
            "null_fields": self._null.shares(),
            "unknown_fields": {} if self.has_ids else unknown,
            "unknown_values": self._unknown_values.shares(),
        }


def _objects_below(path: str, fields: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Yield an object and those in its fields, with their paths."""
    yield path, fields
    for name in _FIELDS[path]:
        value, below = fields.get(name), f"{path}.{name}"
        if isinstance(value, dict) and below in _FIELDS:
            yield from _objects_below(below, value)
        if isinstance(value, list) and f"{below}[]" in _FIELDS:
            for item in value:
                if isinstance(item, dict):
                    yield from _objects_below(f"{below}[]", item)
