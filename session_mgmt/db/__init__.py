"""Everything about the database that knows no model."""
