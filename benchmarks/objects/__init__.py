"""Stateful objects against hand-written statements and Django: `python -m benchmarks.objects`."""
