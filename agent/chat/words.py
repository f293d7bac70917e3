"""Everything that the bot says in its own name, in Chinese and English, in one place.

`of("zh")` gives the words; `Words.error(code)` the sentence for a colleague who knows nothing of endpoints. The codes
are those of `agent.model.errors` and a few of our own. Details of a failure go to the log, never into the chat.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from agent.wecom import ENGLISH as ENGLISH_STREAM
from agent.wecom import Words as StreamWords

Language = Literal["zh", "en"]


@dataclass(frozen=True, kw_only=True)
class Words:
    """One language. Templates take the fields in braces."""

    stream: StreamWords
    errors: dict[str, str] = field(repr=False)
    unknown_error: str
    after_text: str
    waiting: str
    joined: str
    retrying: str
    cut_short: str
    stopped: str
    nothing_to_stop: str
    stopping: str
    withdrawn: str
    new_done: str
    nothing_to_retry: str
    still_answering: str
    models: str
    model_chosen: str
    model_default: str
    model_unknown: str
    admins_only: str
    usage: str
    no_limit: str
    summary: str
    no_summary: str
    help: str
    not_allowed: str
    too_often: str
    quota_used: str
    empty_message: str
    file_named: str
    file_received: str
    file_question: str
    file_unreadable: str
    video_unseen: str
    unreadable: dict[str, str] = field(repr=False)
    unknown_format: str
    instead: dict[str, str] = field(repr=False)
    units: dict[str, str] = field(repr=False)
    pictures_unseen: str
    pictures_left_out: str
    files_made: str
    file_not_sent: str
    files_again: str
    unsupported: str
    question_shortened: str
    kinds: dict[str, str] = field(repr=False)
    tools: dict[str, str] = field(repr=False)
    step_running: str
    step_done: str
    step_failed: str
    restarted: str

    def error(self, code: str) -> str:
        return self.errors.get(code, self.unknown_error)

    def tool(self, name: str) -> str:
        """The name of a tool for people; one that a model made up, without anything that a bubble would render."""
        return self.tools.get(name) or re.sub(r"[^\w-]+", "_", name)[:40]

    def kind(self, msgtype: str) -> str:
        return self.kinds.get(msgtype, self.kinds["unknown"])


CHINESE = Words(
    stream=StreamWords(stopped="（服务正在重启，恢复后会接着回答）"),
    errors={
        "key_refused": "模型服务拒绝了访问（密钥或权限有问题），请联系管理员。",
        "no_balance": "模型服务的账户余额或额度不足，请联系管理员。",
        "model_missing": "配置的模型不存在或地址不对，请联系管理员。",
        "rate_limited": "模型服务现在请求太多，请过一会儿再试。",
        "overloaded": "模型服务暂时出错或过载，请稍后再试。",
        "too_long": "这次对话的内容超过了模型能处理的长度，请发送 /new 开始新对话，或缩短问题。",
        "bad_request": "模型服务没有接受这个请求，请换个说法再试；若一直如此，请联系管理员。",
        "unreachable": "现在连不上模型服务，请稍后再试；若一直如此，请联系管理员。",
        "timeout": "模型服务太久没有回应，请稍后再试。",
        "cut": "模型的回答中途断开了，以上内容可能不完整，可以再问一次。",
        "refused": "模型服务的内容审核没有放行这次提问或回答，请换个说法。",
        "empty": "模型没有给出任何内容，请再试一次或换个说法。",
        "bad_answer": "模型服务返回了无法识别的内容，请联系管理员。",
        "prompt": "提示词文件有问题，请联系管理员。",
        "interrupted": "服务重启，这条回答没有完成，请再问一次。",
    },
    unknown_error="处理这条消息时出错了，请稍后再试。",
    after_text="⚠️ {sentence}",
    waiting="⏳ 已收到，前面还有 {ahead} 条消息在处理，请稍候……",
    joined="📎 已收到，会和你排队中的上一条消息一起回答。",
    retrying="模型服务繁忙，{seconds} 秒后重试……",
    cut_short="（已达到单次回答的长度上限，回复“继续”可以接着说）",
    stopped="（已停止）",
    nothing_to_stop="现在没有正在生成的回答。",
    stopping="好的，已停止。",
    withdrawn="好的，你排队中的消息已取消。",
    new_done="好的，已开始新的对话，之前的内容不再作为上下文。",
    nothing_to_retry="还没有可以重新回答的问题。",
    still_answering="回答还在生成中；等它完成，或先发送 /stop，再发送 /retry。",
    models="当前模型：**{current}**\n\n可以选择：\n{models}\n\n发送 `/model 名称` 切换这个对话的模型。",
    model_chosen="好的，这个对话改用 **{name}**。",
    model_default="好的，默认模型改为 **{name}**。",
    model_unknown="没有名为 {name} 的模型。可以选择：{models}。",
    admins_only="只有管理员可以更改默认模型。",
    usage="你的用量（token）：今天 {today}，本月 {month}；每日上限：{limit}。",
    no_limit="不限",
    summary="**这个对话较早部分的摘要**\n\n{text}",
    no_summary="这个对话还不长，没有摘要：所有内容都还在上下文里。",
    help=(
        "我可以回答问题、写作、翻译、分析，看图片和文件，生成文档、表格、演示文稿和图表。"
        "直接发消息即可；群里请 @我。\n\n"
        "- `/new`（新对话）：忘掉之前的内容，重新开始\n"
        "- `/stop`（停止）：停止正在生成的回答，或取消排队中的消息\n"
        "- `/retry`（重试）：重新回答上一个问题\n"
        "- `/model`（模型）：查看或切换这个对话用的模型\n"
        "- `/usage`（用量）：查看你的用量\n"
        "- `/summary`（摘要）：查看这个对话较早部分的摘要\n"
        "- `/help`（帮助）：显示这段说明\n\n"
        "“新对话”“停止”“重试”“帮助”不带斜杠单独发送也可以。"
    ),
    not_allowed="抱歉，你不在这个机器人的使用范围内。如需使用，请联系管理员。",
    too_often="你发得有点快，请过 {seconds} 秒再试。",
    quota_used="你今天的用量已经用完，明天再来吧；如需更多，请联系管理员。",
    empty_message="你好，我在。有什么可以帮你？发送 /help 查看用法。",
    file_named="{kind}《{name}》",
    file_received="收到{file}（{measures}）。",
    file_question="想让我用它做什么？直接说就行。",
    file_unreadable="{file}{why}",
    video_unseen="我现在看不了视频的画面，但会记住它的名称和大小。",
    unreadable={
        "expired": "没能下载下来（企业微信的下载链接只有五分钟有效），请重新发送。",
        "too_large": "太大了（文件最多 100 MB，图片最多一亿像素），请压缩或拆分后再发。",
        "undecryptable": "下载后无法解密，请重新发送。",
        "disk": "没能保存下来，请联系管理员（磁盘可能已满）。",
        "encrypted": "有密码保护，请去掉密码后再发。",
        "broken": "打不开：文件已损坏，或者内容与扩展名不符，请重新导出后再发。",
        "bomb": "打不开：解压后过于庞大。",
        "timeout": "过于复杂，在限定时间内没有读完，请拆成小一些的文件再发。",
        "unsupported": "是我看不了的格式（{format}）。{instead}",
        "empty": "是空文件，请检查后再发。",
        "old_format": "是旧格式（{format}）。请用 Word、PowerPoint 或 WPS 打开，另存为 docx 或 pptx 后再发。",
    },
    unknown_format="未知",
    instead={
        "": "可以发 PDF、Word、Excel、PPT、CSV、网页、文本、代码或图片。",
        "archive": "请解压后，把里面的文件直接发给我。",
        "audio": "可以直接给我发语音消息，或者发文字稿。",
        "HEIC": "请转成 JPG，或者截图后再发。",
        "ODT": "请另存为 docx 后再发。",
        "ODS": "请另存为 xlsx 后再发。",
        "XLSB": "请另存为 xlsx 后再发。",
        "ODP": "请另存为 pptx 后再发。",
    },
    units={
        "pages": "{} 页",
        "slides": "{} 页幻灯片",
        "sheets": "{} 个工作表",
        "rows": "{} 行",
        "characters": "{} 字",
        "and": "，",
    },
    pictures_unseen=(
        "（当前的模型看不了图片，以上回答没有参考图片内容。请管理员把 OPENAI_VISION_MODEL 设为能看图的模型。）"
    ),
    pictures_left_out="（图片太多，一次看不完，靠后的没有看；请分几次发。）",
    files_made="做好了，见下面的文件。",
    file_not_sent="文件《{name}》没有发送成功，已经保存；发送 /retry 我会再发一次。",
    files_again="好的，再发一次文件。",
    unsupported="暂时看不懂这种消息，请用文字再说一次。",
    question_shortened="（你的消息太长，超过了 {limit} 个 token，只处理了开头和结尾部分。）",
    kinds={
        "image": "图片",
        "file": "文件",
        "video": "视频",
        "voice": "语音",
        "mixed": "图文消息",
        "text": "文字",
        "unknown": "一条消息",
    },
    tools={
        "create_document": "生成文档",
        "create_spreadsheet": "生成表格",
        "create_slides": "生成演示文稿",
        "create_chart": "绘制图表",
        "create_image": "生成图片",
        "read_file": "阅读文件",
        "search_file": "在文件中查找",
    },
    step_running="🔧 正在{label}……（{seconds} 秒）",
    step_done="✅ {label}（{seconds} 秒）",
    step_failed="⚠️ {label}没有成功（{seconds} 秒）",
    restarted="服务刚刚重启，继续回答：",
)

ENGLISH = Words(
    stream=replace(ENGLISH_STREAM, stopped="(The service is restarting; the answer will go on afterwards.)"),
    errors={
        "key_refused": "The model service refused access (key or permissions). Please tell the administrator.",
        "no_balance": "The model service account has no balance or quota left. Please tell the administrator.",
        "model_missing": "The configured model or its address does not exist. Please tell the administrator.",
        "rate_limited": "The model service is getting too many requests. Please try again in a while.",
        "overloaded": "The model service is failing or overloaded. Please try again later.",
        "too_long": "This conversation is longer than the model can handle. Send /new to start afresh, or ask shorter.",
        "bad_request": (
            "The model service did not accept this request. Please rephrase; if it goes on, tell the administrator."
        ),
        "unreachable": "The model service cannot be reached. Please try later; if it goes on, tell the administrator.",
        "timeout": "The model service took too long to respond. Please try again later.",
        "cut": "The answer broke off midway; what is above may be incomplete. You can ask again.",
        "refused": "The model service's content review did not let this through. Please rephrase.",
        "empty": "The model gave no content. Please try again or rephrase.",
        "bad_answer": "The model service returned something unreadable. Please tell the administrator.",
        "prompt": "The prompt file has a mistake. Please tell the administrator.",
        "interrupted": "The service restarted before this answer was complete. Please ask again.",
    },
    unknown_error="Something went wrong with this message; please try again later.",
    after_text="⚠️ {sentence}",
    waiting="⏳ Received; {ahead} message(s) ahead of this one…",
    joined="📎 Received; it will be answered together with your message that is waiting.",
    retrying="The model service is busy; trying again in {seconds} s…",
    cut_short="(This answer reached its length limit; reply “continue” for more.)",
    stopped="(stopped)",
    nothing_to_stop="No answer is being generated right now.",
    stopping="OK, stopped.",
    withdrawn="OK, your waiting message is cancelled.",
    new_done="OK, a new conversation begins; earlier messages no longer count as context.",
    nothing_to_retry="There is no question to answer again yet.",
    still_answering="An answer is still being written; let it end or send /stop, then send /retry.",
    models="Current model: **{current}**\n\nAvailable:\n{models}\n\nSend `/model NAME` to switch this chat's model.",
    model_chosen="OK, this chat uses **{name}** now.",
    model_default="OK, the default model is **{name}** now.",
    model_unknown="There is no model named {name}. Available: {models}.",
    admins_only="Only administrators can change the default model.",
    usage="Your usage in tokens: today {today}, this month {month}; daily limit: {limit}.",
    no_limit="none",
    summary="**Summary of the older part of this chat**\n\n{text}",
    no_summary="This chat is not long enough for a summary: everything is still in the context.",
    help=(
        "I answer questions, write, translate and analyse, look at pictures and files, and make documents, "
        "spreadsheets, slides and charts. Just send a message; in groups, @mention me.\n\n"
        "- `/new`: forget what was said and start afresh\n"
        "- `/stop`: stop the answer that is being generated, or cancel your message that waits\n"
        "- `/retry`: answer the last question again\n"
        "- `/model`: see or switch the model of this chat\n"
        "- `/usage`: see your usage\n"
        "- `/summary`: see the summary of this chat's older part\n"
        "- `/help`: show this\n\n"
        "新对话, 停止, 重试 and 帮助, sent alone, do the same as /new, /stop, /retry and /help."
    ),
    not_allowed="Sorry, you are not among the users of this bot. Please ask the administrator.",
    too_often="That was a bit fast; please try again in {seconds} s.",
    quota_used="Your quota for today is used up. Please come back tomorrow or ask the administrator.",
    empty_message="Hello, I am here. What can I do for you? Send /help to see how I work.",
    file_named="{kind} “{name}”",
    file_received="I received {file} ({measures}).",
    file_question="What shall I do with it? Just tell me.",
    file_unreadable="I received {file}, but {why}",
    video_unseen=" I cannot watch videos here, but I remember its name and size.",
    unreadable={
        "expired": "it could not be downloaded (WeCom's links live five minutes). Please send it again.",
        "too_large": "it is too large: 100 MB or 100 megapixels at most. Please compress or split it.",
        "undecryptable": "it could not be decrypted. Please send it again.",
        "disk": "it could not be stored. Please tell the administrator (the disk may be full).",
        "encrypted": "it is protected by a password. Please send it without one.",
        "broken": "it cannot be opened: it is damaged, or not what its extension says. Please export it again.",
        "bomb": "it cannot be opened: it unpacks into something enormous.",
        "timeout": "it is too complex to be read in time. Please split it into smaller files.",
        "unsupported": "I cannot read its format ({format}). {instead}",
        "empty": "it is empty. Please check it and send it again.",
        "old_format": "it is in an old format ({format}). Please open it in Office or WPS and save it as docx or pptx.",
    },
    unknown_format="unknown",
    instead={
        "": "PDF, Word, Excel, PowerPoint, CSV, web pages, text, code and pictures work.",
        "archive": "Please unpack it and send me the files inside.",
        "audio": "Please send a voice message, or a transcript.",
        "HEIC": "Please convert it to JPG, or send a screenshot.",
        "ODT": "Please save it as docx.",
        "ODS": "Please save it as xlsx.",
        "XLSB": "Please save it as xlsx.",
        "ODP": "Please save it as pptx.",
    },
    units={
        "pages": "{} page|{} pages",
        "slides": "{} slide|{} slides",
        "sheets": "{} sheet|{} sheets",
        "rows": "{} row|{} rows",
        "characters": "{} character|{} characters",
        "and": ", ",
    },
    pictures_unseen=(
        "(The current model cannot see pictures; this answer does without them. The administrator can set "
        "OPENAI_VISION_MODEL to a model that sees.)"
    ),
    pictures_left_out="(These are too many pictures to see at once: the last ones were left out. Please send fewer.)",
    files_made="Done; here it is.",
    file_not_sent="The file “{name}” could not be sent; it is kept. Send /retry and I will try again.",
    files_again="OK, here are the files again.",
    unsupported="I cannot read this kind of message yet; please say it in words.",
    question_shortened="(Your message is over {limit} tokens; only its beginning and end were processed.)",
    kinds={
        "image": "an image",
        "file": "a file",
        "video": "a video",
        "voice": "a voice message",
        "mixed": "text with images",
        "text": "text",
        "unknown": "a message",
    },
    tools={
        "create_document": "creating a document",
        "create_spreadsheet": "creating a spreadsheet",
        "create_slides": "creating slides",
        "create_chart": "drawing a chart",
        "create_image": "creating an image",
        "read_file": "reading a file",
        "search_file": "searching in a file",
    },
    step_running="🔧 {label}… ({seconds} s)",
    step_done="✅ {label} ({seconds} s)",
    step_failed="⚠️ {label} failed ({seconds} s)",
    restarted="The service restarted just now; here is the rest:",
)


def of(language: Language) -> Words:
    return ENGLISH if language == "en" else CHINESE
