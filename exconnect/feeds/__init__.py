"""Market data: one thread for each socket, one for each handler."""
