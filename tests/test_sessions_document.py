"""The examples of docs/sessions.md run as they stand."""
