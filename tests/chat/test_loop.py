"""The agent loop with models that do as they like: the whole bot against the simulator, which is strict."""

from collections.abc import Callable

from agent.chat import loop
from agent.chat.words import CHINESE
from agent.simulator.completions import Failure, Request, error_body
from agent.simulator.model import Reply, ToolCall
from tests.bot import Play

READ = ToolCall("read_file", '{"file": "1"}')


def results(play: Play) -> list[str]:
    return [one["content"] for one in play.asked() if one["role"] == "tool"]


async def test_calls_with_the_same_id_are_told_apart(play: Play) -> None:
    twice = (ToolCall("first", "{}", id="call_1"), ToolCall("second", "{}", id="call_1"))
    play.sim.script.reply(Reply(tool_calls=twice), "好")
    assert (await play.ask("问", "li")).text == "好"
    assert [result[:24] for result in results(play)] == ["There is no tool 'first'", "There is no tool 'second"]


async def test_names_that_endpoints_do_not_take_back(play: Play) -> None:
    wrong = ("", "functions.read_file", "读文件", "x" * 80)
    play.sim.script.reply(Reply(tool_calls=tuple(ToolCall(name, "{}") for name in wrong)), "好")
    assert (await play.ask("问", "li")).text == "好"
    assert len(results(play)) == 4


async def test_a_model_that_calls_to_the_end_is_said(play: Play) -> None:
    play.sim.script.default = lambda _: Reply(tool_calls=(READ,))
    assert (await play.ask("转圈", "li")).text == CHINESE.error("empty")
    assert len(play.sim.script.requests) == loop.Limits().rounds + 1


async def test_more_calls_at_once_than_are_carried_out(play: Play) -> None:
    play.sim.script.reply(Reply(tool_calls=(READ,) * (loop.CALLS + 4)), "好")
    said = await play.ask("问", "li")
    assert said.text == "好"
    assert said.thinking is not None
    assert len(said.thinking.splitlines()) == loop.CALLS
    assert sum("call again" in result for result in results(play)) == 4


def thinker(taken: Callable[[dict[str, object]], bool], reasoning: str) -> Callable[[Request], Reply]:
    """Two rounds of tools, for an endpoint that takes a message with calls only when `taken` says so."""

    def reply(request: Request) -> Reply:
        calls = [one for one in request.messages if one.get("tool_calls")]
        if not all(map(taken, calls)):
            said = "messages[2]: reasoning_content is not as wanted"
            return Reply(failure=Failure(400, error_body(said, kind="invalid_request_error", code=None)))
        return Reply("好") if len(calls) == 2 else Reply(reasoning=reasoning, tool_calls=(READ,))

    return reply


async def test_thinking_goes_back_to_those_who_demand_it_and_not_to_those_who_refuse_it(play: Play) -> None:
    script = play.sim.script
    script.default = thinker(lambda message: "reasoning_content" not in message, "想")
    assert (await play.ask("拒绝", "li")).text == "好"
    assert len(script.requests) == 4, "refused once"
    script.default = thinker(lambda message: "reasoning_content" in message, "想")
    assert (await play.ask("要求", "wang")).text == "好"
    assert len(script.requests) == 7
    script.default = thinker(lambda message: message.get("reasoning_content") == "", "")
    assert (await play.ask("要求空的", "zhao")).text == "好"
    assert len(script.requests) == 11


async def test_thinking_counts_towards_the_turns_budget(play: Play) -> None:
    def reply(request: Request) -> Reply:
        if request.body.get("tool_choice") == "none":
            return Reply("够了")
        return Reply(reasoning="想想看。" * 3000, tool_calls=(READ,))

    play.sim.script.default = reply
    assert (await play.ask("问", "li")).text == "够了"
    assert len(play.sim.script.requests) < 8


async def test_a_call_that_is_cut_off_is_told_why(play: Play) -> None:
    cut = ToolCall("create_document", '{"filename": "a.md", "content": "很长')
    play.sim.script.reply(Reply(tool_calls=(cut,), finish_reason="length"), "好")
    assert (await play.ask("写", "li")).text == "好"
    assert results(play)[0].endswith("cut off at the limit of 4096 tokens: send less at once.")


async def test_what_an_endpoint_does_not_count_is_estimated(play: Play) -> None:
    play.sim.script.reply(Reply("长" * 200, usage={}))
    await play.ask("问", "li")
    ((asked, answered),) = await play.rows("SELECT prompt_tokens, completion_tokens FROM turns")
    assert asked > 200
    assert answered > 50
