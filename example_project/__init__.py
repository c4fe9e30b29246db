"""A real site around the library: the demo, and what the tests drive."""
