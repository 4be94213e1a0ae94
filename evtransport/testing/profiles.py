"""Sandboxes that behave as a profile says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

__all__ = ["accept_profile"]

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
