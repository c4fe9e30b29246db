"""The parts of a drawn panel: palette, canvas, sky, land, features, finish and lettering."""

__all__: list[str] = []
