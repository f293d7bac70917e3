import asyncio

import pytest

from agent.chat.line import Places


async def test_one_at_a_time_in_order_and_chats_in_parallel() -> None:
    places, log = Places(), []
    gate = asyncio.Event()

    async def turn(chat: str, name: str) -> None:
        async with places.take(chat):
            log.append(f"{name} in")
            if name == "first":
                await gate.wait()
            log.append(f"{name} out")

    async with asyncio.TaskGroup() as group:
        for chat, name in (("a", "first"), ("a", "second"), ("a", "third"), ("b", "other")):
            group.create_task(turn(chat, name))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert log == ["first in", "other in", "other out"]
        gate.set()
    assert log[3:] == ["first out", "second in", "second out", "third in", "third out"]
    assert places.running("a") is None


async def test_the_place_is_told_whenever_it_moves() -> None:
    places, seen = Places(), []
    first, second = places.take("a"), places.take("a")
    third = places.take("a", seen.append)
    assert (first.ahead, second.ahead, third.ahead) == (0, 1, 2)
    async with first:
        pass
    assert seen == [1]
    async with second:
        assert places.running("a") is second
    assert third.ahead == 0


async def test_a_cancelled_waiter_leaves_the_line() -> None:
    places = Places()
    running = places.take("a")

    async def wait() -> None:
        async with places.take("a"):
            pytest.fail("it was not its turn")

    async with running:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        last = places.take("a")
        assert last.ahead == 2
        task.cancel()
        await asyncio.wait([task])
        assert last.ahead == 1
    async with last:
        pass
    assert places.running("a") is None


async def test_ending_a_place_that_waits_lets_it_in_withdrawn() -> None:
    places, seen = Places(), []
    running = places.take("a", user="li")
    async with running:
        first, second = places.take("a", user="wang", turn=2), places.take("a", user="li", turn=3)
        last = places.take("a", seen.append, user="wang", turn=4)
        assert [place.turn for place in places.waiting("a", "wang")] == [2, 4]
        first.end()
        assert seen == [2]
        async with first:
            assert first.withdrawn
            assert places.running("a") is running
        assert [place.turn for place in places.waiting("a", "wang")] == [4]
        assert seen == [2], "what left the line leaves it once"
    assert places.running("a") is second
    second.end()
    assert second.withdrawn, "its turn has come, but it has not begun"
    assert places.waiting("b", "li") == ()
    async with second:
        pass
    async with last:
        assert not last.withdrawn
        stopped: list[bool] = []
        last.stop = lambda: stopped.append(True)
        last.end()
        assert stopped == [True]
    assert places.running("a") is None
