"""Counts of missing, null and unknown fields and of unknown enum values, without any value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, TypeAlias

import attrs

from evtransport.structure import JsonValue
from thorclient.profile import KNOWN_PATHS, KNOWN_VALUES, is_unknown_field, may_be_absent

__all__ = ["FieldCounts", "JsonObject"]

JsonObject: TypeAlias = Mapping[str, JsonValue]


def _group_paths() -> dict[str, tuple[str, ...]]:
    """Return the names of the fields of each object, by the path of the object."""
    groups: dict[str, tuple[str, ...]] = {}
    for path in sorted(KNOWN_PATHS):
        parent, _, name = path.rpartition(".")
        groups[parent] = (*groups.get(parent, ()), name)
    return groups


_FIELDS: Final = _group_paths()


@attrs.define(eq=False)
class FieldCounts:
    """Counts over the chargeboxes and analytics added so far.

    Attributes:
        documents: Number of objects by kind: `analytics` or `chargebox`.
    """

    documents: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _objects: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _missing: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _null: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _unknown: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _values: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _unknown_values: Counter[str] = attrs.field(factory=Counter[str], init=False)

    def add(self, kind: str, document: JsonObject) -> None:
        """Count the fields of one chargebox or of its analytics."""
        self.documents[kind] += 1
        unknown = set[str]()
        self._add_object(kind, document, unknown)
        self._unknown.update(unknown)

    def _add_object(self, path: str, fields: JsonObject, unknown: set[str]) -> None:
        self._objects[path] += 1
        for name in _FIELDS[path]:
            self._add_field(f"{path}.{name}", name, fields, unknown)
        names = [f"{path}.{name}" for name, value in fields.items() if value is not None]
        unknown.update(filter(is_unknown_field, names))

    def _add_field(self, path: str, name: str, fields: JsonObject, unknown: set[str]) -> None:
        if name not in fields:
            self._missing[path] += 1
            return
        value = fields[name]
        self._null[path] += value is None
        if isinstance(value, str) and path in KNOWN_VALUES:
            self._values[path] += 1
            self._unknown_values[path] += value not in KNOWN_VALUES[path]
        if isinstance(value, dict) and path in _FIELDS:
            self._add_object(path, value, unknown)
        if isinstance(value, list) and f"{path}[]" in _FIELDS:
            for item in value:
                if isinstance(item, dict):
                    self._add_object(f"{path}[]", item, unknown)

    def missing_fields(self) -> dict[str, float]:
        """Return the shares of the objects that lack a field."""
        return self._shares_of_objects(self._missing)

    def null_fields(self) -> dict[str, float]:
        """Return the shares of the objects in which a field is null."""
        return self._shares_of_objects(self._null)

    def unknown_fields(self) -> dict[str, float]:
        """Return the shares of the chargeboxes or analytics with an unknown field."""
        kinds = {path: path.partition(".")[0] for path in self._unknown}
        return _shares(self._unknown, {path: self.documents[kinds[path]] for path in kinds})

    def unknown_values(self) -> dict[str, float]:
        """Return the shares of the enum values that the vendor does not document."""
        return _shares(self._unknown_values, self._values)

    def _shares_of_objects(self, counts: Mapping[str, int]) -> dict[str, float]:
        found = {path: n for path, n in counts.items() if may_be_absent(path)}
        return _shares(found, {path: self._objects[path.rpartition(".")[0]] for path in found})


def _shares(counts: Mapping[str, int], totals: Mapping[str, int]) -> dict[str, float]:
    return {path: n / totals[path] for path, n in sorted(counts.items()) if n}
