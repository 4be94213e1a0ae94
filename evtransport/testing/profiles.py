"""Sandboxes that behave as a profile says."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from functools import wraps
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import attrs

__all__ = ["accept_profile", "collect_settings", "read_profile"]

T = TypeVar("T")


def accept_profile(
    settings_of: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]],
) -> Callable[[type[T]], type[T]]:
    """Return a decorator that lets the argument `profile` replace the defaults of the others.

    The constructor of the attrs class then knows which arguments were given: they win over the
    profile.

    Args:
        settings_of: Function that returns the arguments for a profile. It also gets the arguments
            that were given.
    """

    def decorate(cls: type[T]) -> type[T]:
        init = cls.__init__

        @wraps(init)
        def init_with_profile(self: T, **given: Any) -> None:
            profile = given.get("profile")
            settings = {} if profile is None else settings_of(profile, given)
            init(self, **{**settings, **given})

        cls.__init__ = init_with_profile  # type: ignore[assignment]
        return cls

    return decorate


def read_profile(path: object) -> bytes:
    """Return the content of the file of a profile.

    Raises:
        OSError: The file can't be read.
        ValueError: The argument is not a path, such as the profile of another API.
    """
    if not isinstance(path, str | PathLike):
        kind = f"{type(path).__module__}.{type(path).__qualname__}"
        raise ValueError(f"profile must be a Profile of this API or a path, got a {kind}")
    return Path(path).read_bytes()


def collect_settings(
    sandbox: attrs.AttrsInstance, names: Container[str], optional: Container[str] = ()
) -> dict[str, Any]:
    """Return the settings of a sandbox that its profile has.

    Args:
        sandbox: The sandbox.
        names: Names of the settings.
        optional: Names of those that may be None.

    Raises:
        ValueError: Another setting is None.
    """
    settings = {
        field.alias: getattr(sandbox, field.name)
        for field in attrs.fields(type(sandbox))
        if field.alias in names
    }
    for name, value in settings.items():
        if value is None and name not in optional:
            raise ValueError(f"{name} must not be None")
    return settings
