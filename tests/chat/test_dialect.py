from hypothesis import given
from hypothesis import strategies as st

from agent.chat.dialect import shown


def test_pictures_become_links_outside_of_code() -> None:
    assert shown("![图](https://e.invalid/a.png?q=secret)") == "[图](https://e.invalid/a.png?q=secret)"
    assert shown('![](https://e.invalid/b.png "t")') == "[https://e.invalid/b.png](https://e.invalid/b.png)"
    assert shown('<img alt="x" src="https://e.invalid/c.png">') == "[https://e.invalid/c.png](https://e.invalid/c.png)"
    for code in ("`![x](y)`", "```md\n![x](y)\n```", "~~~\n<b>![x](y)</b>\n~~~"):
        assert shown(code) == code


def test_think_tags_are_defused_everywhere() -> None:
    for text in ("<think>a", "a </think> b", "`<think>`", "```\n</THINK>\n```", "< think>"):
        assert "<think" not in shown(text).lower().replace(" ", "")
        assert "</think" not in shown(text).lower().replace(" ", "")


def test_html_goes_and_comparisons_stay() -> None:
    assert shown("<p>甲<br>乙</p>") == "甲  \n乙"
    assert shown("<b>粗</b>和<i>斜</i>") == "**粗**和*斜*"
    assert shown('<font color="red">红</font>') == "红"
    assert shown("if a < b and c > d: x = List<int>") == "if a < b and c > d: x = List<int>"


def test_a_table_gets_its_blank_line() -> None:
    table = "| a | b |\n|---|:-:|\n| 1<br>2 | 3 |"
    assert shown("说明：\n" + table) == "说明：\n\n| a | b |\n|---|:-:|\n| 1 2 | 3 |"
    assert shown("说明：\n\n| a | b |\n|---|---|") == "说明：\n\n| a | b |\n|---|---|"
    assert shown("```\nx\n|a|b|\n|-|-|\n```") == "```\nx\n|a|b|\n|-|-|\n```"


@given(st.text(alphabet=list("<>/!|-[]()`~\n ab图think"), max_size=120))
def test_no_think_tag_survives(text: str) -> None:
    assert "<think" not in shown(text).lower()
    assert "</think" not in shown(text).lower()


@given(st.lists(st.sampled_from(["甲乙", "a < b", "x\n", "\n", "1. 项", "```\n", "`c`", "**b**", "$x$"]), max_size=30))
def test_what_needs_no_change_stays_to_the_letter(parts: list[str]) -> None:
    assert shown("".join(parts)) == "".join(parts)
