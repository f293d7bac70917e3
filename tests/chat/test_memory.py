"""What a chat remembers: the whole bot against the simulator, with a window that few exchanges fill."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.chat.words import CHINESE
from agent.simulator import Simulator
from agent.simulator.completions import Request
from agent.simulator.model import Reply, failing
from tests.bot import Play, running

LONG = "关于合同的一段很长的话。" * 40
SMALL = {"context_tokens": 2600}


def is_summary(request: Request) -> bool:
    return str(request.messages[0]["content"]).startswith("Summarise")


def script(sim: Simulator, summary: Callable[[Request], Reply]) -> None:
    """The model answers questions with "答", and summaries as told."""
    sim.script.default = lambda request: summary(request) if is_summary(request) else Reply("答")


async def fill(play: Play, user: str, chat: str | None = None, word: str = "") -> None:
    """Talks until a summary has been asked for, and the question after it was answered."""
    before = sum(is_summary(one) for one in play.sim.script.requests)
    for number in range(8):
        await play.ask(f"{word}{number}：{LONG}", user, chat)
        if sum(is_summary(one) for one in play.sim.script.requests) > before:
            return
    pytest.fail("nothing fell out of the window")


def system(play: Play) -> str:
    """The system prompt of the last request that was none for a summary."""
    return next(one.messages[0]["content"] for one in reversed(play.sim.script.requests) if not is_summary(one))


async def test_the_summary_rolls_on(sim: Simulator, tmp_path: Path) -> None:
    made: list[str] = []

    def summary(request: Request) -> Reply:
        made.append(str(request.messages[1]["content"]))
        return Reply(f"摘要{len(made)}", reasoning="想")

    script(sim, summary)
    async with running(sim, tmp_path, **SMALL) as play:
        await fill(play, "li")
        await play.idle()
        assert "[li]\n0：" in made[0]
        assert "[you]\n答" in made[0]
        await fill(play, "li")
        await play.idle()
        assert made[1].startswith("[summary of what came before]\n摘要1")
        assert "0：" not in made[1].split("\n\n", 1)[1][:20], "what the first one stands for is not told again"
        assert (await play.ask("/summary", "li")).text == CHINESE.summary.format(text="摘要2")
    async with running(sim, tmp_path, **SMALL) as play:
        await play.ask("还记得吗", "li")
        assert system(play).endswith("\n摘要2"), "it is stored"


async def test_new_clears_a_summary_that_is_being_written(sim: Simulator, tmp_path: Path) -> None:
    script(sim, lambda _: Reply("合同的摘要", delay=2.0))
    async with running(sim, tmp_path, **SMALL) as play:
        await fill(play, "li")
        assert sim.script.open, "the summary is under way"
        assert (await play.ask("/new", "li")).text == CHINESE.new_done
        await play.idle()
        assert (await play.ask("/summary", "li")).text == CHINESE.no_summary
        await play.ask("全新", "li")
        assert "合同" not in str(sim.script.requests[-1].messages)
        assert await play.rows("SELECT count(*) FROM summaries") == [(0,)]


async def test_a_summary_stays_with_its_chat_and_its_person(sim: Simulator, tmp_path: Path) -> None:
    sim.gateway.group("room", members=("li", "wang"))
    script(sim, lambda request: Reply("李的秘密" if "李" in str(request.messages[1]) else "别人的"))
    async with running(sim, tmp_path, group_history="per_user", **SMALL) as play:
        await fill(play, "li", "room", "李")
        await play.idle()
        assert "李的秘密" in (await play.ask("/summary", "li", "room")).text
        for user, chat in (("wang", "room"), ("li", None), ("wang", None)):
            assert (await play.ask("/summary", user, chat)).text == CHINESE.no_summary
            await play.ask("他说了什么", user, chat)
            assert "李" not in str(sim.script.requests[-1].messages)
            assert (await play.ask("/retry", user, chat)).text == "答"
            assert "李" not in str(sim.script.requests[-1].messages)


async def test_a_failing_summary_is_tried_again_later(sim: Simulator, tmp_path: Path) -> None:
    fails = [True]
    script(sim, lambda _: failing(400) if fails[0] else Reply("终于"))
    async with running(sim, tmp_path, **SMALL) as play:
        await fill(play, "li")
        await play.idle()
        assert (await play.ask("/summary", "li")).text == CHINESE.no_summary
        fails[0] = False
        await fill(play, "li")
        await play.idle()
        assert "终于" in (await play.ask("/summary", "li")).text


async def test_what_is_summarised_fits_a_request(sim: Simulator, tmp_path: Path) -> None:
    """After a larger window, or a model that failed for long, there is more than one request may hold."""
    async with running(sim, tmp_path, context_tokens=20000) as play:
        script(sim, lambda _: Reply("不该有"))
        for number in range(10):
            await play.ask(f"{number}：{LONG}", "li")
    async with running(sim, tmp_path, **SMALL) as play:
        script(sim, lambda _: Reply("摘要"))
        await play.ask("接着", "li")
        await play.idle()
        (asked,) = [one for one in sim.script.requests if is_summary(one)]
        assert "0：" in str(asked.messages)
        assert "9：" not in str(asked.messages)
        assert play.bot.counter.count(str(asked.messages[1]["content"])) < 2600


async def test_the_window_follows_the_models_own_count(sim: Simulator, tmp_path: Path) -> None:
    """A model whose tokens are smaller than ours gets less text into the same window."""
    sizes = []
    for factor in (1, 3):

        def reply(request: Request, factor: int = factor) -> Reply:
            counted = play.bot.counter.count("".join(str(one["content"]) for one in request.messages))
            usage = {"prompt_tokens": counted * factor, "completion_tokens": 1, "total_tokens": counted * factor + 1}
            return Reply("答", usage=usage)

        sim.script.default = reply
        async with running(sim, tmp_path / str(factor), context_tokens=6000) as play:
            for number in range(12):
                await play.ask(f"{number}：{LONG}", "li")
                await play.idle()  # a summary under way would change what the next request holds
            sizes.append(next(len(one.messages) for one in reversed(sim.script.requests) if not is_summary(one)))
    assert sizes[1] <= sizes[0] / 2


async def test_retry_in_a_group_repeats_the_persons_own_question(sim: Simulator, tmp_path: Path) -> None:
    sim.gateway.group("room", members=("li", "wang"))
    script(sim, lambda _: Reply("没有"))
    async with running(sim, tmp_path) as play:
        await play.ask("李的问题", "li", "room")
        assert (await play.ask("/retry", "wang", "room")).text == CHINESE.nothing_to_retry
        await play.ask("王的问题", "wang", "room")
        assert (await play.ask("/retry", "li", "room")).text == "答"
        asked = [one["content"] for one in play.asked() if one["role"] == "user"]
        assert asked == ["wang: 王的问题", "li: 李的问题"], "everybody's words stay their own"
