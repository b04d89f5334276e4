"""How a request fails that got no answer."""


class NotSent(Exception):
    """No connection, or no time left: not a byte of the request has left."""


class Lost(Exception):
    """Something may have left, and there is no usable answer."""
