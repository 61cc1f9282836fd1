"""What the studio refuses, with the HTTP status that says so."""

from __future__ import annotations

from undrift.errors import UndriftError


class Refused(UndriftError):
    """A request that is not served; ``status`` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def status_of(error: UndriftError) -> int:
    """The HTTP status of an error: that of a ``Refused``, 400 for every other one."""
    return error.status if isinstance(error, Refused) else 400
