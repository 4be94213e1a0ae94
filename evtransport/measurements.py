"""Results of a probe: what was measured, why the rest is unknown, and both in words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

import attrs

from evtransport.profiles import named_after, normalized_ids

__all__ = ["SHARED_WORDS", "FieldCounter", "Finding", "Letters", "Line", "ShareCounter", "Wording"]
__all__ += ["compare_letters", "format_share", "separate"]

T = TypeVar("T")


@attrs.frozen
class Finding(Generic[T]):
    """Result of an experiment.

    Attributes:
        value: What was measured. None means unknown.
        reason: Why the value is unknown, or what limits the measurement. May be empty.
    """

    value: T | None
    reason: str = ""

    @classmethod
    def unknown(cls, reason: str) -> Finding[T]:
        """Return a result without a value."""
        return cls(None, reason)


@attrs.define(eq=False)
class ShareCounter:
    """Counter of objects with a property, and of all objects, by path.

    Example:
        >>> from evtransport.measurements import ShareCounter
        >>> missing = ShareCounter()
        >>> missing.add("vehicleId", 1, 4)
        >>> missing.add("sessionId", 0, 4)
        >>> missing.shares()
        {'vehicleId': 0.25}
    """

    _found: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _all: Counter[str] = attrs.field(factory=Counter[str], init=False)

    def add(self, path: str, found: int, count: int = 1) -> None:
        """Count objects.

        Args:
            path: Path of the objects.
            found: Number of objects with the property.
            count: Number of all objects.
        """
        self._found[path] += found
        self._all[path] += count

    def shares(self) -> dict[str, float]:
        """Return the shares by path, without those that are 0."""
        return {path: n / self._all[path] for path, n in sorted(self._found.items()) if n}


@attrs.define(eq=False)
class FieldCounter(ABC):
    """Counter of missing, null and unknown fields and of unknown values, without any value.

    Args:
        ids: Ids that no field may be named after.
    """

    _ids: set[str] = attrs.field(factory=set[str], converter=normalized_ids, alias="ids")
    _has_ids: bool = attrs.field(default=False, init=False)
    _missing: ShareCounter = attrs.field(factory=ShareCounter, init=False)
    _null: ShareCounter = attrs.field(factory=ShareCounter, init=False)
    _unknown: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _unknown_values: ShareCounter = attrs.field(factory=ShareCounter, init=False)

    @abstractmethod
    def _count_of(self, path: str) -> int:
        """Return the number of objects that may have an unknown field."""

    @property
    def has_ids(self) -> bool:
        """True if an unknown field is named after an id, or looks like one."""
        return self._has_ids or named_after(self._ids, self._unknown)

    def shares(self) -> dict[str, dict[str, float]]:
        """Return the shares by path, by their names in a profile."""
        unknown = {path: n / self._count_of(path) for path, n in sorted(self._unknown.items())}
        return {
            "missing_fields": self._missing.shares(),
            "null_fields": self._null.shares(),
            "unknown_fields": {} if self.has_ids else unknown,
            "unknown_values": self._unknown_values.shares(),
        }

    def findings(self, problem: str) -> dict[str, Finding[dict[str, float]]]:
        """Return the shares as results, by their names in a profile.

        Args:
            problem: Why nothing was counted. Empty if something was.
        """
        found = {
            name: Finding[dict[str, float]].unknown(problem) if problem else Finding(shares)
            for name, shares in self.shares().items()
        }
        if self.has_ids:
            reason = "a field is named after an id, or looks like it"
            found["unknown_fields"] = Finding.unknown(reason)
        return found


def separate(found: Mapping[str, Finding[Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of results by name, and the reasons for those that are unknown."""
    values = {name: finding.value for name, finding in found.items()}
    reasons = {name: finding.reason for name, finding in found.items() if finding.value is None}
    return values, reasons


Letters: TypeAlias = Literal["same", "upper", "lower"]


def compare_letters(pairs: Iterable[tuple[str, str]]) -> Finding[Letters]:
    """Return the letters in which a server echoes ids.

    Args:
        pairs: Ids as sent and as echoed. They are equal without regard to case.

    Example:
        >>> compare_letters([("Cp-1", "CP-1")]).value
        'upper'
        >>> compare_letters([("CP-1", "CP-1")]).reason
        'the ids have no lower-case letters'
    """
    pairs = list(pairs)
    forms: Mapping[Letters, Callable[[str], str]] = {
        "same": str,
        "upper": str.upper,
        "lower": str.lower,
    }
    found: list[Letters] = [
        form
        for form, change in forms.items()
        if all(change(sent) == echoed for sent, echoed in pairs)
    ]
    match found:
        case [form]:
            return Finding(form)
        case ["same", "upper"]:
            return Finding.unknown("the ids have no lower-case letters")
        case ["same", "lower"]:
            return Finding.unknown("the ids have no upper-case letters")
        case []:
            return Finding.unknown("the letters of the ids vary")
    return Finding.unknown("the ids have no letters")


@attrs.frozen
class Line:
    """Line of a table about a measurement.

    Attributes:
        title: Name of the value. Empty in further lines of the same value.
        result: Whether the value was measured. Empty in further lines.
        text: The value, or why it is unknown.
    """

    title: str
    result: Literal["measured", "unknown", ""]
    text: str


SHARED_WORDS: Final[Mapping[str, Mapping[Any, str]]] = {
    "echo": {
        "same": "as requested",
        "upper": "in upper case",
        "lower": "in lower case",
        "absent": "absent",
    },
    "compression": {"identity": "none", "gzip": "gzip", "deflate": "deflate"},
}
"""Words for the choices that the profiles of both APIs have."""


@attrs.frozen
class Wording:
    """Words for the values of a profile.

    Attributes:
        titles: Title of each value, in the order of the table.
        words: Words for the choices of a value. A choice without words is the status of an error.
        formats: Functions that return a value, or the lines of a mapping, in words.
    """

    titles: Mapping[str, str]
    words: Mapping[str, Mapping[Any, str]]
    formats: Mapping[str, Callable[[Any], str | list[str]]]

    def describe(self, profile: object, reasons: Mapping[str, str]) -> Iterator[Line]:
        """Yield the lines of a measurement: all values of a profile, measured or unknown.

        Args:
            profile: The profile.
            reasons: Why a value is unknown, by its name.
        """
        for name, title in self.titles.items():
            value = getattr(profile, name)
            if value is None:
                yield Line(title, "unknown", reasons[name])
                continue
            first, *others = self._lines(name, value)
            yield Line(title, "measured", first)
            yield from (Line("", "", text) for text in others)

    def _lines(self, name: str, value: object) -> list[str]:
        if name in self.formats:
            text = self.formats[name](value)
            return [text] if isinstance(text, str) else text
        if isinstance(value, Mapping):
            return [f"{path} {format_share(share)}" for path, share in value.items()] or ["none"]
        return [self.words[name].get(value, f"status {value}")]


def format_share(share: float) -> str:
    """Return a share as a percentage."""
    percent = f"{share:.1%}"
    return "< 0.1%" if share and percent == "0.0%" else percent
