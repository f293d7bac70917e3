"""Calling other people's handlers: sync or async, returning one reply or a generator of them.

How a handler wants to be called is decided once, when it is registered. What is sync runs in a daemon thread of its
own, so that a handler that blocks or hangs holds up neither the line, nor other messages, nor the end of the process.
"""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from .errors import WecomError


class HandlerError(WecomError):
    """A handler returned something that is no reply."""


class Handler:
    """A handler as it was registered.

    Args:
        function: `f(first, …)` or `f(first, …, last)`: `last` is left out for functions that take fewer arguments.
        count: how many arguments there are without `last`.
    """

    def __init__(self, function: Callable[..., Any], count: int = 1) -> None:
        if not callable(function):
            raise TypeError(f"a handler is a function, not {function!r}")
        target = function if inspect.isroutine(function) else type(function).__call__
        self._function = function
        self._takes = _positional(function, count)
        self._is_async = inspect.iscoroutinefunction(target) or inspect.isasyncgenfunction(target)

    async def call(self, *arguments: Any) -> Any:
        """What the handler returned: one reply, None, or a generator for `each`."""
        if self._is_async:
            result = self._function(*arguments[: self._takes])
        else:
            result = await in_thread(self._function, *arguments[: self._takes])
        return await result if inspect.isawaitable(result) else result


def is_generator(result: Any) -> bool:
    """Whether a handler's result is a generator of replies rather than one reply."""
    return isinstance(result, AsyncIterator) or inspect.isgenerator(result)


async def each(result: Any) -> AsyncGenerator[Any, None]:
    """The replies in a handler's result, one after the other; None is left out."""
    if isinstance(result, AsyncIterator):
        try:
            async for item in result:
                if item is not None:
                    yield item
        finally:
            close = getattr(result, "aclose", None)
            if close is not None:
                await close()
    elif inspect.isgenerator(result):
        try:
            while (item := await in_thread(_next, result)) is not _END:
                if item is not None:
                    yield item
        finally:
            if not result.gi_running:
                result.close()
    elif result is not None:
        yield result


_END = object()


def _next(generator: Any) -> Any:
    return next(generator, _END)


def _positional(function: Callable[..., Any], count: int) -> int:
    """How many of `count` + 1 arguments the function takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin that does not tell
        return count
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return count + 1
    takes = sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)
    return min(takes, count + 1)


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Runs `function` in a daemon thread of its own and waits for it; a pool could be filled up by those that hang."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def work() -> None:
        result, error = None, None
        try:
            result = context.run(function, *arguments)
        except Exception as raised:  # whatever it is, it belongs to the one who waits
            error = raised
        except BaseException as raised:  # SystemExit would end the loop, CancelledError look like the waiter's own
            error = HandlerError(f"the handler raised {raised!r}")
        if isinstance(error, StopIteration | StopAsyncIteration):  # a future does not carry the first
            error = HandlerError(f"the handler raised {error!r}")
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    threading.Thread(target=work, name="wecom-handler", daemon=True).start()
    return await future
