"""Thin: parse, call a service, print."""
