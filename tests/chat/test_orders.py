"""Commands as people send them: the whole bot against the simulator."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.chat.words import CHINESE
from agent.simulator import Simulator
from tests.bot import Play, running


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Play]:
    async with Simulator(bot_name="小 助手") as sim:
        async with running(sim, tmp_path, openai_models=("scripted-vision",), admins=("boss",)) as one:
            yield one
        assert not sim.gateway.check()


@pytest.mark.parametrize("text", ["/help", "／帮助", "/HELP", "帮助", "帮助。", "/help @小 助手"])
async def test_commands_in_a_group_follow_the_mention(play: Play, text: str) -> None:
    play.sim.gateway.group("room", members=("li",))
    assert (await play.ask(text, "li", "room")).text == CHINESE.help
    assert not play.sim.script.requests


@pytest.mark.parametrize("text", ["/foo", "/new 一篇文章", "/ 怎么用", "／算了", "/etc/hosts 是什么", "停止供货怎么办"])
async def test_what_only_looks_like_a_command_goes_to_the_model(play: Play, text: str) -> None:
    play.sim.script.reply("好")
    assert (await play.ask(text, "li")).text == "好"
    assert play.asked()[-1]["content"] == text


async def test_a_quotation_or_a_picture_makes_it_a_question(play: Play) -> None:
    play.sim.script.reply("一", "二")
    first = await play.ask("原话", "li")
    await play.sim.gateway.answered(play.sim.gateway.say("li", "重试", quote=first.id))
    assert play.asked()[-1]["content"].endswith("重试")
    assert len(play.sim.script.requests) == 2


async def test_reset_is_new_and_the_model_of_a_chat_stays_with_it(play: Play) -> None:
    play.sim.script.reply("一", "二", "三")
    await play.ask("甲", "li")
    assert (await play.ask("/reset", "li")).text == CHINESE.new_done
    assert (await play.ask("／模型 scripted-vision", "li")).text == CHINESE.model_chosen.format(name="scripted-vision")
    await play.ask("乙", "li")
    assert play.sim.script.requests[-1].model == "scripted-vision"
    assert [one["content"] for one in play.asked()][1:] == ["乙"]
    assert "**scripted-vision** ✓" in (await play.ask("/model", "li")).text
    assert "**scripted** ✓" in (await play.ask("/model", "wang")).text
    await play.ask("/model scripted", "li")
    await play.ask("丙", "li")
    assert play.sim.script.requests[-1].model == "scripted", "back to everybody's"


async def test_the_default_that_an_admin_sets_outlives_the_process(tmp_path: Path) -> None:
    models = {"openai_models": ("scripted-vision",), "admins": ("boss",)}
    async with Simulator() as sim:
        async with running(sim, tmp_path, **models) as play:
            assert "scripted-vision" in (await play.ask("/model 默认 scripted-vision", "boss")).text
        async with running(sim, tmp_path, **models) as play:
            sim.script.reply("一")
            await play.ask("甲", "li")
            assert sim.script.requests[-1].model == "scripted-vision"


async def test_usage_counts_this_persons_tokens(play: Play) -> None:
    play.sim.script.reply("一", "二")
    await play.ask("甲", "li")
    used = await play.rows("SELECT prompt_tokens + completion_tokens FROM turns WHERE user_id = 'li'")
    shown = (await play.ask("/用量", "li")).text
    assert shown == CHINESE.usage.format(today=f"{used[0][0]:,}", month=f"{used[0][0]:,}", limit=CHINESE.no_limit)
    assert "今天 0" in (await play.ask("/usage", "wang")).text
