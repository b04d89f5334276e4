"""The user's functions: what they are called, whether they can be called, and who is told when one fails."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from exconnect.errors import InvalidType

if TYPE_CHECKING:
    from collections.abc import Iterator


def name_of(handler: object) -> str:
    """`module.qualname` of a function, method or callable object."""
    handler = _inner(handler)
    owner = handler if hasattr(handler, "__qualname__") else type(handler)
    # A method of a class that is written in C, like `list.append`, knows its module by its object only.
    module = owner.__module__ or type(getattr(handler, "__self__", None)).__module__
    return f"{module}.{owner.__qualname__}"


def check_handler(handler: Any, argument: str) -> None:
    """See that it is a plain callable of one argument.

    Raises:
        InvalidType: it is not.
    """
    if not callable(handler):
        raise InvalidType(f"{argument} must be a callable, not {type(handler).__name__}", {"argument": argument})
    import inspect

    inner = _inner(handler)
    for function in (inner, getattr(inner, "__call__", None)):  # noqa: B004 - its code is looked at
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            text = f"{argument} is a coroutine function: exconnect calls plain functions, in threads of their own"
            raise InvalidType(text, {"argument": argument})
    try:
        # Of the function that is called, not of one that it wraps: a decorator may fill in the rest.
        signature = inspect.signature(handler, follow_wrapped=False)
    except (TypeError, ValueError):
        return  # some functions of C do not tell
    try:
        signature.bind(object())
    except TypeError:
        name = name_of(handler).rpartition(".")[2]
        text = (
            f"{argument} must take one argument, what it is handed, but this is {name}{signature}: write {name}(item)"
        )
        raise InvalidType(text, {"argument": argument}) from None


def _inner(handler: object) -> object:
    while isinstance(handler, partial):
        handler = handler.func
    return handler


def is_unheard(logger: logging.Logger) -> bool:
    """Whether nobody has set up logging: what is logged there goes nowhere."""
    return all(isinstance(handler, logging.NullHandler) for handler in _handlers(logger))


def _handlers(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def show_failure(logger: logging.Logger, text: str, error: BaseException) -> None:
    """On stderr, if nobody reads the log: what a thread raises is shown by Python too, and is a bug of the program."""
    fallback = logging.lastResort
    if fallback is not None and is_unheard(logger) and logger.isEnabledFor(logging.ERROR):
        trace = type(error), error, error.__traceback__
        fallback.handle(logger.makeRecord(logger.name, logging.ERROR, "", 0, text, (), trace))
