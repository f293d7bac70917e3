"""Calling handlers: how many arguments, sync and async, generators, and whatever they raise."""

import asyncio
import contextvars
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from agent.wecom.handlers import Handler, HandlerError, each, in_thread, is_generator


async def called(function: Callable[..., Any], *arguments: Any, count: int = 1) -> list[Any]:
    return [item async for item in each(await Handler(function, count).call(*(arguments or ("message", "server"))))]


# --- arguments


def none() -> str:
    return "none"


def one(message: Any) -> Any:
    return message


def two(message: Any, server: Any) -> Any:
    return (message, server)


def three(message: Any, server: Any, more: Any = None) -> Any:
    return (message, server, more)


def every(*arguments: Any) -> Any:
    return arguments


def only_named(message: Any, *, option: int = 5) -> Any:
    return (message, option)


@pytest.mark.parametrize(
    ("function", "got"),
    [
        (none, "none"),
        (one, "message"),
        (two, ("message", "server")),
        (three, ("message", "server", None)),
        (every, ("message", "server")),
        (only_named, ("message", 5)),
        (lambda message: message, "message"),
        (functools.partial(two, "first"), ("first", "message")),
    ],
)
async def test_a_handler_gets_as_many_arguments_as_it_takes(function: Callable[..., Any], got: Any) -> None:
    assert await called(function) == [got]


@pytest.mark.parametrize(
    ("function", "got"), [(one, "error"), (two, ("error", "frame")), (every, ("error", "frame", "server"))]
)
async def test_an_error_handler_has_one_more(function: Callable[..., Any], got: Any) -> None:
    assert await called(function, "error", "frame", "server", count=2) == [got]


@pytest.mark.parametrize("value", [None, 5, "text", [lambda: None]])
def test_what_is_no_function_is_refused_at_once(value: Any) -> None:
    with pytest.raises(TypeError, match="a handler is a function, not"):
        Handler(value)


# --- all the ways to be a handler


class Methods:
    def sync(self, message: Any, server: Any) -> Any:
        return (message, server)

    async def later(self, message: Any, server: Any) -> Any:
        await asyncio.sleep(0)
        return (message, server)

    @classmethod
    def of_class(cls, message: Any) -> Any:
        return message

    @staticmethod
    def static(message: Any) -> Any:
        return message


class Callable_:
    def __call__(self, message: Any, server: Any) -> Any:
        return (message, server)


class AsyncCallable:
    async def __call__(self, message: Any, server: Any) -> Any:
        await asyncio.sleep(0)
        return (message, server)


async def later(message: Any, server: Any) -> Any:
    await asyncio.sleep(0)
    return (message, server)


def coroutine(message: Any, server: Any) -> Any:
    return later(message, server)


@pytest.mark.parametrize(
    "function",
    [Methods().sync, Methods().later, Callable_(), AsyncCallable(), later, coroutine, functools.partial(later)],
)
async def test_sync_and_async_functions_methods_and_objects(function: Callable[..., Any]) -> None:
    assert await called(function) == [("message", "server")]


@pytest.mark.parametrize("function", [Methods().of_class, Methods().static])
async def test_class_and_static_methods(function: Callable[..., Any]) -> None:
    assert await called(function) == ["message"]


def sync_generator(message: Any) -> Iterator[Any]:
    yield 1
    yield None
    yield message


async def async_generator(message: Any) -> AsyncIterator[Any]:
    yield 1
    await asyncio.sleep(0)
    yield None
    yield message


class Counting:
    """An asynchronous iterator that is no generator."""

    def __init__(self) -> None:
        self._left = 3

    def __aiter__(self) -> "Counting":
        return self

    async def __anext__(self) -> int:
        self._left -= 1
        if self._left < 0:
            raise StopAsyncIteration
        return self._left


async def returns_generator(message: Any) -> Any:
    return async_generator(message)


@pytest.mark.parametrize("function", [sync_generator, async_generator, returns_generator, lambda m: async_generator(m)])
async def test_generators_give_their_replies_one_after_the_other(function: Callable[..., Any]) -> None:
    assert await called(function) == [1, "message"]


async def test_an_iterator_is_as_good_as_a_generator() -> None:
    assert await called(lambda _message: Counting()) == [2, 1, 0]


@pytest.mark.parametrize(
    ("result", "many"),
    [
        (sync_generator(1), True),
        (async_generator(1), True),
        (Counting(), True),
        ([1], False),
        ("x", False),
        (None, False),
    ],
)
def test_what_is_a_generator(result: Any, many: bool) -> None:
    assert is_generator(result) is many


async def test_none_is_no_reply() -> None:
    assert await called(lambda _message: None) == []


# --- threads


async def test_what_is_sync_runs_in_a_daemon_thread_of_its_own() -> None:
    def where(_message: Any) -> Any:
        return threading.current_thread()

    first, second = (await called(where))[0], (await called(where))[0]
    assert first is not second
    assert first is not threading.main_thread()
    assert first.daemon


async def test_what_is_async_runs_in_the_loop() -> None:
    async def where(_message: Any) -> Any:
        return threading.current_thread()

    assert await called(where) == [threading.current_thread()]


async def test_context_variables_are_seen() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")
    assert await called(lambda _message: variable.get()) == ["set"]


async def test_many_that_hang_hold_up_nobody() -> None:
    release, entered = threading.Event(), threading.Semaphore(0)

    def hang(_message: Any) -> None:
        entered.release()
        release.wait(30)

    hanging = [asyncio.ensure_future(called(hang)) for _ in range(60)]
    await asyncio.sleep(0)
    assert await called(lambda message: message) == ["message"]
    for task in hanging:
        task.cancel()
    done = await asyncio.gather(*hanging, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in done)
    release.set()


# --- what they raise


class Rude(BaseException):
    pass


@pytest.mark.parametrize("raised", [ValueError("x"), KeyError("x"), ZeroDivisionError()])
async def test_an_exception_comes_out_as_it_is(raised: Exception) -> None:
    def fail(_message: Any) -> None:
        raise raised

    async def fail_later(_message: Any) -> None:
        raise raised

    def fail_between(_message: Any) -> Iterator[int]:
        yield 1
        raise raised

    for function in (fail, fail_later, fail_between):
        with pytest.raises(type(raised)) as caught:
            await called(function)
        assert caught.value is raised


@pytest.mark.parametrize(
    "raised",
    [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), Rude(), StopIteration(1), StopAsyncIteration()],
)
async def test_what_would_end_more_than_the_handler_becomes_its_error(raised: BaseException) -> None:
    def fail(_message: Any) -> None:
        raise raised

    with pytest.raises(HandlerError, match=f"the handler raised {type(raised).__name__}"):
        await called(fail)


async def test_a_generator_that_is_left_is_closed() -> None:
    closed: list[str] = []

    def sync(_message: Any) -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("sync")

    async def later(_message: Any) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("async")

    for function in (sync, later):
        replies = each(await Handler(function).call("message"))
        assert await anext(replies) == 1
        await replies.aclose()
    assert closed == ["sync", "async"]


async def test_a_generator_that_hangs_is_left_alone_when_it_is_cancelled() -> None:
    release = threading.Event()

    def hang(_message: Any) -> Iterator[int]:
        yield 1
        release.wait(30)
        yield 2

    replies = each(await Handler(hang).call("message"))
    assert await anext(replies) == 1
    waiting = asyncio.ensure_future(anext(replies))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    release.set()


async def test_a_result_that_comes_after_the_loop_was_closed_is_dropped() -> None:
    release, ended = threading.Event(), threading.Event()

    def late() -> None:
        release.wait(30)
        ended.set()

    loop = asyncio.new_event_loop()
    task = loop.create_task(in_thread(late))

    def once() -> None:
        loop.run_until_complete(asyncio.sleep(0))
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()

    await asyncio.to_thread(once)
    release.set()
    assert await asyncio.to_thread(ended.wait, 10)
