"""placeholder until the names are exported."""
