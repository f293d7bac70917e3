import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.dialect import shown


def test_pictures_become_links_outside_of_code() -> None:
    assert shown("![图](https://e.invalid/a.png?q=secret)") == "[图](https://e.invalid/a.png?q=secret)"
    assert shown('![](https://e.invalid/b.png "t")') == "[https://e.invalid/b.png](https://e.invalid/b.png)"
    assert shown('<img alt="x" src="https://e.invalid/c.png">') == "[https://e.invalid/c.png](https://e.invalid/c.png)"
    for code in ("`![x](y)`", "```md\n![x](y)\n```"):
        assert shown(code) == code


def test_every_way_to_write_a_picture() -> None:
    assert shown("[![徽章](https://e.invalid/b.svg)](https://e.invalid)") == (
        "[徽章](https://e.invalid/b.svg) [https://e.invalid](https://e.invalid)"
    )
    assert shown("![图][1]\n\n[1]: https://e.invalid/a.png") == "[图][1]\n\n[1]: https://e.invalid/a.png"
    assert shown("![1]\n![1][]") == "[1]\n[1][]"
    assert shown("![多\n行](https://e.invalid/a.png)") == "[多\n行](https://e.invalid/a.png)"
    assert shown("![a](<u v.png> 'title')") == "[a](<u v.png> 'title')"
    assert shown("![a](u(1).png)") == "[a](u(1).png)"
    assert shown("![](u(1).png 'x')") == "[u(1).png](u(1).png)"
    assert shown("![](<u v.png>)![]") == "[🖼](<u v.png>)[🖼]"
    assert shown("<IMG\n  width=1\n  src='u.png' />") == "[u.png](u.png)"
    assert shown("<picture><source srcset=u.png></picture> <img src") == (
        "＜picture>＜source srcset=u.png>＜/picture> ＜img src"
    )


# Code to the careless: each shows a picture to a reader that sees its code end before, or not begin.
NOT_CODE = [
    "`![x](u)",
    "\\`![x](u)`",
    "\\\\` `![x](u)`",
    "a ` b\n`![x](u)` c",
    "- `a\n- ![x](u)\n- b`",
    "``![x](u)`",
    "> ```\n![x](u)",
    "   ```\n![x](u)",
    "    ```\n    ![x](u)",
    "- ```\n  a\n  ```\n![x](u)",
    "```a`\n![x](u)",
    "```\na\n```\n![x](u)\n```",
    "~~~\n~~~\n![x](u)",
    "~~~\n````\n![x](u)",
]


@pytest.mark.parametrize("text", NOT_CODE)
def test_what_is_code_to_some_readers_only_shows_no_picture(text: str) -> None:
    assert "![" not in shown(text)


@given(st.lists(st.sampled_from(["![x](u)", "`", "``", "\n", "\n\n", "甲", "> ", "- ", "    ", "\\", "~~~", "```"])))
def test_no_beginning_of_a_growing_text_shows_a_picture(parts: list[str]) -> None:
    """The line holds the last character back, so that each beginning is shown without it, too."""
    text = "".join(parts)
    for end in range(len(text) + 1):
        seen = shown(text[:end], growing=True)
        for one in (seen, seen[:-1]):
            assert not pictures(one), one


def pictures(text: str) -> bool:
    """Whether CommonMark, reduced to fences and code at the left margin, finds a picture in a text."""
    fence, prose = "", []
    for line in text.split("\n"):
        mark = re.match(r"(`{3,}|~{3,})([^`]*)$", line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
        elif mark:
            fence = mark[1]
            prose.append("")
        else:
            prose.append(line)
    paragraphs = "\n".join(prose).split("\n\n")
    code = re.compile(r"(?<![`\\])(`+)(?!`)(?:[^`]|(?!\1(?!`))`+)*?(?<!`)\1(?!`)")
    return any("![" in code.sub("", paragraph) for paragraph in paragraphs)


def test_fences_in_a_markdown_example_stay_in_it() -> None:
    text = "```markdown\n# 标题\n```bash\nls\n```\n完\n```\n后文 ![x](u)"
    assert shown(text) == "````markdown\n# 标题\n```bash\nls\n```\n完\n````\n后文 [x](u)"
    assert shown("  ```md\n  ````py\n  ````\n  ```\n") == "  `````md\n  ````py\n  ````\n  `````\n"
    plain = "```python\nx\n```bash\n```\n后文"
    assert shown(plain) == plain, "in other languages a second fence is more likely a forgotten end"
    assert shown("~~~\n<b>![x](y)</b>\n~~~") == "````\n<b>![x](y)</b>\n````"


def test_think_tags_are_defused_everywhere() -> None:
    for text in ("<think>a", "a </think> b", "`<think>`", "```\n</THINK>\n```", "< think>"):
        assert "<think" not in shown(text).lower().replace(" ", "")
        assert "</think" not in shown(text).lower().replace(" ", "")


def test_html_goes_and_comparisons_stay() -> None:
    assert shown("<p>甲<br>乙</p>") == "甲  \n乙"
    assert shown("<b>粗</b>和<i>斜</i>") == "**粗**和*斜*"
    assert shown('<font color="red">红</font>') == "红"
    assert shown("<details><summary>标题</summary>\n内容\n</details>") == "标题\n内容\n"
    assert shown('<div align="center">\n\n<h2>大</h2>\n<a href="https://e.invalid">去</a>') == (
        "\n\n## 大\n[去](https://e.invalid)"
    )
    assert shown("<ul>\n<li>甲</li>\n<li>乙</li>\n</ul>\n<hr/>") == "\n- 甲\n- 乙\n\n***"
    assert shown("<tr><td>1</td><td>2</td></tr><!-- 注 -->") == "1 | 2"
    assert shown("水是 H<sub>2</sub>O，<u><b>重点</b></u>，按 <kbd>Esc</kbd>") == "水是 H2O，**重点**，按 `Esc`"
    for text in ("用 <div> 标签", "泛型 Map<String, List<b>>", "x <y> z", "<p 未完", "`<b>x</b>`", "a<b>c"):
        assert shown(text) == text, "what is no markup stays"
    assert shown("if a < b and c > d: x = List<int>") == "if a < b and c > d: x = List<int>"


def test_a_table_gets_its_blank_line() -> None:
    table = "| a | b |\n|---|:-:|\n| 1<br>2 | 3 |"
    assert shown("说明：\n" + table) == "说明：\n\n| a | b |\n|---|:-:|\n| 1 2 | 3 |"
    assert shown("说明：\n\n| a | b |\n|---|---|") == "说明：\n\n| a | b |\n|---|---|"
    assert shown("|甲|\n|---|\n|1|\n后文") == "|甲|\n|---|\n|1|\n\n后文"
    assert shown("> 说明\n> |a|b|\n> |-|-|\n> |1|2|") == "> 说明\n>\n> |a|b|\n> |-|-|\n> |1|2|"
    assert shown("- 项\n  |a|b|\n  |-|-|") == "- 项\n\n  |a|b|\n  |-|-|"
    for text in ("a | b\n\nc | d", "标题\n---", "x || y\n- z | w", "|a|b|\n|-|-|\n|-|-|"):
        assert shown(text) == text
    assert shown("```\nx\n|a|b|\n|-|-|\n```") == "```\nx\n|a|b|\n|-|-|\n```"


@given(st.text(alphabet=list("<>/!|-[]()`~\n ab图think"), max_size=120))
def test_no_think_tag_survives(text: str) -> None:
    assert "<think" not in shown(text).lower()
    assert "</think" not in shown(text).lower()


@given(st.lists(st.sampled_from(["甲乙", "a < b", "x\n", "\n", "1. 项", "```\n", "`c`", "**b**", "$x$"]), max_size=30))
def test_what_needs_no_change_stays_to_the_letter(parts: list[str]) -> None:
    assert shown("".join(parts)) == "".join(parts)
