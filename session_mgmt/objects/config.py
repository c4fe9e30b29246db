"""Say where objects are kept and when they are committed."""

from __future__ import annotations

from dataclasses import dataclass

from session_mgmt.exceptions import ConfigurationError, shown

__all__ = ["OaasConfig", "checked_interval"]


def checked_interval(seconds: object) -> float:
    """Return seconds between commits.

    Raises:
        ConfigurationError: it is not a positive, finite number.
    """
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 < seconds < float("inf"):  # type: ignore[operator] # it is a number
        raise ConfigurationError(
            f"auto_commit_interval must be a positive number of seconds, not {shown(seconds)}"
        )
    return float(seconds)  # type: ignore[arg-type] # it is a number


@dataclass(frozen=True, slots=True)
class OaasConfig:
    """How objects are kept (seed 000).

    Attributes:
        mock_mode: keep objects in the memory of this process; no database is touched.
        auto_commit: commit changes in the background.
        auto_commit_interval: seconds until that happens at most; None means FLUSH_INTERVAL.
    """

    mock_mode: bool = False
    auto_commit: bool = True
    auto_commit_interval: float | None = None

    def __post_init__(self) -> None:
        for name in ("mock_mode", "auto_commit"):
            if not isinstance(value := getattr(self, name), bool):
                raise ConfigurationError(f"{name} must be True or False, not {shown(value)}")
        if self.auto_commit_interval is not None:
            checked_interval(self.auto_commit_interval)
