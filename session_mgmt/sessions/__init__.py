"""Sessions as a service: start, change, watch and remove them (seed 001)."""

from session_mgmt.sessions.manager import SessionManager, session_manager

__all__ = ["SessionManager", "session_manager"]
