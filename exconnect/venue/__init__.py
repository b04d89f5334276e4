"""Composition root: what is looked up when a client is made (`plan`), and what it then runs on (`parts`)."""
