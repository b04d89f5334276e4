"""The contract that an exchange fills in. Pure: no I/O, no clock, no thread."""
