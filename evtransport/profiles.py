"""Parts of a profile: validators of its values, and its versioned JSON form.

A profile says how the API of one account behaves where the vendor documents nothing. A probe
measures it, and a sandbox behaves as it says. It is an attrs class, in which None means unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

import attrs
import msgspec

__all__ = ["Compression", "Echo", "ProfileFormat", "Validator", "fields_by_prefix", "is_number"]
__all__ += ["is_unknown_path", "mapping_field", "named_after", "normalized_ids"]
__all__ += ["number", "one_of", "quote"]
__all__ += ["refuse_impossible_shares", "shares", "true_or_false"]

Validator: TypeAlias = Callable[[object, "attrs.Attribute[Any]", Any], None]
"""Validator of an attrs field. All validators here accept None."""

Compression: TypeAlias = Literal["identity", "gzip", "deflate"]
"""Encoding of the responses."""

Echo: TypeAlias = Literal["same", "upper", "lower", "absent"]
"""Ids in a response: as requested, in other letters, or absent."""

_MAX_PATHS: Final = 1000
# Ids have digits and capitals. The name of a field starts with a small letter.
_FIELD_NAME: Final = re.compile(r"(?!(?:.*[0-9]){3})[a-z][A-Za-z0-9_]{0,39}")


def one_of(annotation: Any) -> Validator:
    """Return a validator of a choice. An annotation with `int` also allows a status."""
    or_status = int in get_args(annotation)
    literal = get_args(annotation)[0] if or_status else annotation
    choices: tuple[str, ...] = get_args(literal)

    def validate(_: object, field: attrs.Attribute[Any], value: object) -> None:
        is_status = or_status and isinstance(value, int) and value in range(400, 600)
        if not (value is None or is_status or (isinstance(value, str) and value in choices)):
            allowed = ", ".join(choices) + (" or a status from 400 to 599" if or_status else "")
            raise ValueError(f"{field.name} must be one of {allowed}, got {quote(value)}")

    return validate


def number(
    minimum: float, *, above: bool = False, whole: bool = False, maximum: float | None = None
) -> Validator:
    """Return a validator of a finite number.

    Args:
        minimum: Smallest value.
        above: True if the value must be greater than `minimum`.
        whole: True if the value must be an int.
        maximum: Largest value. None means any finite number.
    """
    bounds = f"{'>' if above else '>='} {minimum}"
    if maximum is not None:
        bounds = f"from {minimum} to {maximum}"

    def validate(_: object, field: attrs.Attribute[Any], value: Any) -> None:
        if value is None:
            return
        is_kind = is_number(value) and (isinstance(value, int) or not whole)
        in_range = is_kind and minimum <= value < float("inf") and (value > minimum or not above)
        if not in_range or (maximum is not None and value > maximum):
            kind = "an int" if whole else "a finite number"
            raise ValueError(f"{field.name} must be {kind} {bounds}, got {quote(value)}")

    return validate


def true_or_false(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Validate a bool."""
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{field.name} must be true or false, got {quote(value)}")


def shares(is_path: Callable[[str], bool], example: str) -> Validator:
    """Return a validator of shares (0 to 1) by path.

    Args:
        is_path: Function that returns True for an allowed path.
        example: An allowed path, for the message.
    """

    def validate(_: object, field: attrs.Attribute[Any], value: object) -> None:
        if value is None:
            return
        if not isinstance(value, Mapping) or len(value) > _MAX_PATHS:
            raise ValueError(f"{field.name} must map at most {_MAX_PATHS} paths to shares")
        for path, share in value.items():
            if not (isinstance(path, str) and is_path(path)):
                raise ValueError(f"{field.name}: {quote(path)} is not a path, such as {example!r}")
            if not (is_number(share) and 0 <= share <= 1):
                raise ValueError(
                    f"{field.name}: the share of {path} must be a number from 0 to 1,"
                    f" got {quote(share)}"
                )

    return validate


def refuse_impossible_shares(
    missing: Mapping[str, float] | None, null: Mapping[str, float] | None
) -> None:
    """Raise ValueError if a field is missing or null in more than all objects."""
    for path, share in (missing or {}).items():
        if share + (null or {}).get(path, 0) > 1 + 1e-9:
            raise ValueError(f"{path} is missing or null in more than all objects")


def fields_by_prefix(paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the names of the fields of each object, by the start of their paths.

    Example:
        >>> fields_by_prefix(["id", "type", "type.version"])
        {'': ('id', 'type'), 'type.': ('version',)}
    """
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(paths):
        parent, dot, name = path.rpartition(".")
        found[parent + dot] = (*found.get(parent + dot, ()), name)
    return found


def is_unknown_path(path: str, fields: Mapping[str, Container[str]]) -> bool:
    """Return True if a path is that of an unknown field: it looks like a name, not like an id.

    Args:
        path: The path.
        fields: Known fields, see `fields_by_prefix`.
    """
    parent, dot, name = path.rpartition(".")
    known = fields.get(parent + dot)
    return known is not None and name not in known and _FIELD_NAME.fullmatch(name) is not None


def normalized_ids(ids: Iterable[str]) -> set[str]:
    """Return the letters and digits of ids, in one case, such as `bus21` for `BUS-21`."""
    return {"".join(filter(str.isalnum, each.casefold())) for each in ids}


def named_after(ids: set[str], paths: Iterable[str]) -> bool:
    """Return True if the last name of a path is one of the ids, which are normalized."""
    return not ids.isdisjoint(normalized_ids(path.rpartition(".")[2] for path in paths))


def is_number(value: object) -> bool:
    """Return True for an int or a float, and False for a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def quote(value: object) -> str:
    """Return at most 100 characters of the `repr` of a value."""
    return f"{value!r:.100}"


def mapping_field(validator: Validator) -> Any:
    """Return an attrs field for a mapping, which the profile copies, or None."""
    return attrs.field(default=None, converter=_copied, hash=False, validator=validator)


def _copied(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


@attrs.frozen
class ProfileFormat:
    """JSON form of the profiles of one API.

    Attributes:
        kind: Kind of the JSON object.
        version: Version of the fields.
        command: Command that writes such a profile, for messages.
    """

    kind: str
    version: int
    command: str

    def decode(self, text: bytes, cls: type[attrs.AttrsInstance]) -> dict[str, Any]:
        """Return the values in a JSON text by their names.

        Args:
            text: The text.
            cls: Class of the profile.

        Raises:
            ValueError: The text is not a profile of this API, or it has another version or an
                unknown field.
        """
        try:
            content = msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ValueError(
                f"not a profile: the text is not the JSON object that `{self.command}` writes"
            ) from None
        if (kind := content.pop("kind", None)) != self.kind:
            found = "has no kind" if kind is None else f"is of the kind {quote(kind)}"
            raise ValueError(
                f"not a profile: the text {found}, instead of the JSON object that"
                f" `{self.command}` writes"
            )
        if (version := content.pop("version", None)) != self.version:
            raise ValueError(
                f"the profile has version {quote(version)}, but this release reads version"
                f" {self.version}: run `{self.command}` again"
            )
        known = attrs.fields_dict(cls)
        if unknown := [name for name in content if name not in known]:
            raise ValueError(
                f"the profile has unknown fields: {', '.join(map(quote, unknown)):.100};"
                f" version {self.version} has {', '.join(known)}"
            )
        return content

    def encode(self, profile: attrs.AttrsInstance) -> bytes:
        """Return a profile as JSON, with null for what is unknown.

        The result has a kind, a version and a line for each value, so that two profiles can be
        compared with `diff`.
        """
        content = {"kind": self.kind, "version": self.version} | attrs.asdict(profile)
        return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
