"""Watch a session from a browser."""
