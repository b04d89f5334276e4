"""Other people's frameworks. Each module needs its extra only when it is used."""
