"""What a bubble says in its own name, in the language of the deployment."""

from dataclasses import dataclass

from .split import visible


@dataclass(frozen=True, slots=True)
class Words:
    """The bot's own sentences, Chinese unless given.

    Raises:
        ValueError: a sentence that can be all of a bubble holds nothing visible; such a bubble would not end (§9.2).
    """

    empty: str = "（没有内容）"
    continued: str = "（未完，下一条继续）"
    ended: str = "（以上是全部内容）"
    working: str = "仍在处理，稍后在下一条继续……"
    growing: str = "……后面还有，正在继续生成（已 {kilobytes} KB）"
    as_file: str = "内容较长，全文见随后的 Markdown 文件。"
    refused: str = "企业微信的内容安全策略没有放行这条回答。"
    stopped: str = "（已停止）"
    failed: str = "处理这条消息时出错了，请稍后再试。"

    def __post_init__(self) -> None:
        for name in ("empty", "ended", "working", "refused", "stopped", "failed"):
            if not visible(getattr(self, name)):
                raise ValueError(f"words.{name} is {getattr(self, name)!r}; give it something that people can see")


ENGLISH = Words(
    empty="(no content)",
    continued="(continued in the next message)",
    ended="(that is all)",
    working="Still working; continued in the next message…",
    growing="…more is coming ({kilobytes} KB so far)",
    as_file="This answer is long: the whole text follows as a Markdown file.",
    refused="WeCom's content policy did not let this answer through.",
    stopped="(stopped)",
    failed="Something went wrong with this message; please try again later.",
)
