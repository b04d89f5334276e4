"""The account: a write path (commands), a read path (queries), and the stores where the two meet."""
