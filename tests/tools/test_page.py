"""HTML that is text and nothing else."""

from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tools.markdown import parse
from agent.tools.page import build_page


def build(text: str, title: str = "") -> str:
    return build_page(parse(text), title).decode()


def body(text: str) -> str:
    return build(text).partition("<body>\n")[2].removesuffix("</body>\n</html>\n")


def test_blocks() -> None:
    assert body("# 一\n\n二\n三") == "<h1>一</h1>\n<p>二<br>\n三</p>\n"
    assert body("3. a\n   - [x] b") == ('<ol start="3">\n<li>a<ul>\n<li class="task">☑ b</li>\n</ul>\n</li>\n</ol>\n')
    assert body("```\n\na < b\n```") == "<pre>\n<code>\na &lt; b</code></pre>\n"
    assert body("| a |\n|--:|\n| `1` |") == (
        '<div class="wide"><table>\n<thead><tr><th class="right">a</th></tr></thead>\n'
        '<tbody>\n<tr><td class="right"><code>1</code></td></tr>\n</tbody>\n</table></div>\n'
    )


def test_links_and_pictures() -> None:
    assert body("![图](https://a.b/?x=1&y=2)") == (
        '<p><a href="https://a.b/?x=1&amp;y=2" rel="noopener noreferrer nofollow">图</a> '
        "(https://a.b/?x=1&amp;y=2)</p>\n"
    )
    assert body("[x](javascript:alert(1))") == "<p>[x](javascript:alert(1))</p>\n"


def test_title_is_escaped() -> None:
    assert "<title>&lt;/title&gt;</title>" in build("x", "</title>")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@settings(deadline=None)
@given(st.text(alphabet="<>\"'&=!/[]()`*|- \nascriptmg:h字", max_size=80))
def test_nothing_that_a_browser_fetches_or_runs(text: str) -> None:
    tags = Tags()
    tags.feed(body(text))
    assert not tags.tags & {"script", "img", "iframe", "link", "style", "object", "svg", "meta"}
    assert tags.attributes <= {"href", "rel", "class", "start"}
