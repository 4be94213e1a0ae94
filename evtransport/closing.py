"""Base class of objects that `async with` closes."""

from __future__ import annotations

import abc
from types import TracebackType
from typing import Self

__all__ = ["AsyncCloseable"]


class AsyncCloseable(abc.ABC):
    """Object whose `aclose()` is called at the end of `async with`."""

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Release what the object holds. Further calls do nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
