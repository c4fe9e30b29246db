"""Draw from the command line."""
