from agent.chat import welcome
from agent.simulator import cards

QUESTIONS = ("你能帮我做什么？", "帮我写一封给客户的道歉邮件")


def texts(card: dict[str, object]) -> list[str]:
    buttons = card["button_list"]
    assert isinstance(buttons, list)
    return [button["text"] for button in buttons]


def test_the_card_keeps_wecoms_limits_and_its_keys_are_the_questions() -> None:
    task = welcome.new_task_id()
    assert welcome.is_ours(task)
    assert not welcome.is_ours("poll_1")
    assert not welcome.is_ours(None)
    made = welcome.card("你好，我是助手。\n\n有问题可以直接问。", QUESTIONS, task)
    assert cards.check(made) == made
    assert made["main_title"] == {"title": "你好，我是助手。"}
    assert made["sub_title_text"] == "有问题可以直接问。"
    assert texts(made) == ["你能帮我做什么？", "帮我写一封给客户的…"]
    assert [button["key"] for button in made["button_list"]] == list(QUESTIONS)


def test_a_long_first_line_is_not_lost() -> None:
    made = welcome.card("长" * 40, ("甲",), "t")
    assert made["main_title"]["title"] == "长" * 25 + "…"
    assert made["sub_title_text"] == "长" * 40
    assert "sub_title_text" not in welcome.card("短", ("甲",), "t")


def test_what_was_asked_is_ticked_and_the_rest_stays() -> None:
    made = welcome.card("你好", QUESTIONS, "t", QUESTIONS[1:])
    assert cards.check(made, update=True) == made, "a card that replaces another needs a link"
    assert texts(made) == ["你能帮我做什么？", "✓ 帮我写一封给客…"]
    assert texts(welcome.card("你好", ("甲", "甲", "乙"), "t", ("丙", "丙"))) == ["甲", "乙", "✓ 丙"]
    full = welcome.card("你好", tuple("一二三四五六"), "t", ("七",))
    assert texts(full) == ["一", "二", "三", "四", "五", "✓ 七"], "a card has room for six"
    full = welcome.card("你好", (), "t", tuple("一二三四五六七"))
    assert len(texts(full)) == 6
