"""What the parts of `SessionManager` know of each other."""

from __future__ import annotations

from abc import ABC, abstractmethod

__all__ = ["Configuration"]


class Configuration(ABC):
    """How a manager is configured.

    Attributes:
        using: database alias of all it does.
    """

    using: str

    @property
    @abstractmethod
    def max_sessions(self) -> int | None:
        """Return how many sessions there may be, None for any number."""

    @property
    @abstractmethod
    def policy(self) -> str:
        """Return what is done where there is no room: "evict" or "reject"."""

    @property
    @abstractmethod
    def cleanup_active(self) -> bool:
        """Tell whether expired sessions are removed in the background of this process."""

    @abstractmethod
    def reserve_place(self, *, thoroughly: bool) -> bool:
        """Tell whether one more session may be created in this transaction; after False roll back.

        Args:
            thoroughly: count, and make room, so that the answer is never False.

        Raises:
            SessionCapacityError: there is no room, and none may or can be made.
        """
