"""The documentation against the program: what a README says exists, is spelt so, and works as it is written."""

import argparse
import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent import cli, envfile
from agent.chat import commands, prompts
from agent.config import SETTINGS, load
from agent.simulator import Simulator
from agent.simulator.model import Request, demonstrate
from tests.docs import CHINESE, COMMAND, ENGLISH, ROOT, Block, Page, computed

CHANGELOG = ROOT / "CHANGELOG.md"
PAGES = [Page(ENGLISH), Page(CHINESE)]
BOTH = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.name)

# Which heading a section has, in the order of both READMEs.
TITLE, TRY, TESTS, REAL, COMMANDS, FILES, SETTING, FRAMEWORK = range(8)

# Paths that the program makes, or a person; they exist in no checkout.
MADE = {"data/files/", ".env", ".venv", "chats/<chat id>.md", "data/", "data/agent.db"}


def block(page: Page, language: str, number: int = 0) -> Block:
    return [each for each in page.blocks if each.language == language][number]


def table(page: Page, section: int, number: int = 0) -> list[list[str]]:
    """The rows of a section's table, without its head."""
    before = sum(len(_tables(text)) for text in page.sections[:section])
    return page.tables[before + number][1:]


def _tables(text: str) -> list[str]:
    return re.findall(r"(?:^ *\|.*\|\n)+", text, re.MULTILINE)


def codes(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


# --- settings


@BOTH
def test_the_table_of_settings_is_the_programs(page: Page) -> None:
    assert page.text == computed(page), f"{page.path.name} is out of date; run `{COMMAND}`"


@BOTH
def test_the_settings_to_begin_with_are_enough_to_run(page: Page) -> None:
    example = block(page, "ini")
    parsed = envfile.parse(example.text)
    assert not parsed.problems
    assert load(parsed.values, None).model_configured
    wrong = set(re.findall(r"\b(?:WECOM|OPENAI|AGENT)_\w+\b", page.text)) - {setting.name for setting in SETTINGS}
    assert not wrong


@BOTH
def test_what_a_prompt_file_may_hold_is_all_there(page: Page) -> None:
    said = codes(page.sections[SETTING])
    assert [word for word in said if word in prompts._KEYS] == list(prompts._KEYS)
    assert [word[2:-2] for word in said if word.startswith("{{")] == list(prompts.VARIABLES)
    shipped = {path.name for path in (ROOT / "prompts").iterdir()}
    assert {word for word in said if re.fullmatch(r"[\w.]+\.md", word)} == shipped


# --- commands


def parsers() -> dict[str, argparse.ArgumentParser]:
    (subparsers,) = (each for each in cli._parser()._actions if isinstance(each, argparse._SubParsersAction))
    return dict(subparsers.choices)


@BOTH
def test_the_table_of_commands_is_the_parsers(page: Page) -> None:
    rows, known = table(page, COMMANDS), parsers()
    assert [row[0].strip("`").split()[1] for row in rows] == list(known)
    shared = {word for word in codes(page.sections[COMMANDS]) if word in ("--json", "--csv")}
    for (usage, does), (name, parser) in zip(rows, known.items(), strict=True):
        words = usage.strip("`").split()[2:]
        actions = [each for each in parser._actions if not isinstance(each, argparse._HelpAction)]
        assert words == [each.metavar for each in actions if not each.option_strings], name
        options = {each.option_strings[-1]: each for each in actions if each.option_strings}
        said = {example.split()[0]: example.split()[1:] for example in codes(does) if example.startswith("--")}
        assert said.keys() | (shared & options.keys()) == options.keys(), name
        for option, values in said.items():
            if choices := options[option].choices:
                assert values == ["|".join(choices)], option
            elif values and values[0].isdecimal():  # what is shown is the default
                assert options[option].default == int(values[0]), option


@BOTH
def test_the_exit_codes_are_the_programs(page: Page) -> None:
    said = re.findall(r"(?:[:：,，]\s*)(\d) \S", re.split(r"Exit codes|退出码", page.sections[COMMANDS])[1])
    assert [int(number) for number in said] == [cli.OK, cli.MISCONFIGURED, cli.DISPLACED, cli.FAILED]


@BOTH
def test_every_call_of_the_program_in_the_text_is_one_that_it_takes(page: Page) -> None:
    calls = [word for word in codes(page.prose.replace("\\|", "|")) if re.match(r"(\.venv/bin/)?wecom-agent ", word)]
    assert len(calls) > len(parsers())
    for call in calls:
        words = call.split()[1:]
        assert cli._parser().parse_args(words).run, call


@BOTH
def test_what_can_be_sent_in_a_chat_is_what_the_bot_takes(page: Page) -> None:
    rows = table(page, COMMANDS, 1)
    said: dict[str, commands.Name] = {}
    for row in rows:
        found = {word: commands.parse(word) for word in codes(row[0])}
        assert all(found.values()), row[0]
        assert len({command.name for command in found.values() if command}) == 1, row[0]
        said |= {word.lstrip("/"): command.name for word, command in found.items() if command}
        for example in codes(row[1]):
            assert commands.parse(example), example
    known = {word: name for word, name in commands._NAMES.items() if word.isascii() or f"/{word}" not in said}
    chinese_left_out = {word for word in commands._NAMES if not word.isascii()} - said.keys()
    assert not chinese_left_out
    assert said == known
    bare = {word for row in rows for word in codes(row[0]) if not word.startswith("/")}
    assert bare == commands._BARE


@pytest.mark.parametrize(("page", "word"), [(PAGES[0], "help"), (PAGES[1], "演示")])
def test_the_scripted_model_has_the_word_that_is_named(page: Page, word: str) -> None:
    assert f"`{word}`" in page.sections[TRY]
    assert commands.parse(word) is None
    request = Request({"messages": [{"role": "user", "content": word}]}, {}, 0.0)
    assert "|---|---|" in demonstrate(request).text


# --- the two commands, and CI


@BOTH
def test_each_of_the_two_commands_is_one_line_and_stands_alone(page: Page) -> None:
    first, second = (each for each in page.blocks if each.language == "bash")
    assert [each.heading for each in (first, second)] == [page.headings[TRY][1], page.headings[TESTS][1]]
    for each, last, lock in ((first, "wecom-agent playground", ""), (second, "python -m tests", "-test")):
        assert each.text.count("\n") == 1
        steps = each.text.strip().split(" && ")
        assert steps[0] == "python3 -m venv .venv"
        assert steps[1] == f".venv/bin/pip install -q -r requirements{lock}.lock"
        assert steps[-1] == f".venv/bin/{last}"


def run_ci(folder: Path, readme: str, fakes: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs `.ci/run` beside a README, where the only programs are those of the system's folders and ``fakes``."""
    (folder / ".ci").mkdir()
    (folder / ".ci" / "run").write_bytes((ROOT / ".ci" / "run").read_bytes())
    (folder / "README.md").write_text(readme, encoding="utf-8")
    programs = folder / "programs"
    programs.mkdir()
    for name, script in fakes.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    for name in ("bash", "sh", "sed", "grep", "dirname", "cat"):
        (programs / name).symlink_to(
            next(path for path in (Path("/bin") / name, Path("/usr/bin") / name) if path.exists())
        )
    environ = {"PATH": str(programs), "HOME": str(folder)}
    return subprocess.run(
        [programs / "bash", folder / ".ci" / "run"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_ci_installs_what_the_readme_lists_and_calls_its_test_command(tmp_path: Path) -> None:
    page = PAGES[0]
    (listed,) = {match for each in PAGES for match in re.findall(r"`apt-get install (chromium [^`]*)`", each.text)}
    command = block(page, "bash", 1).text
    readme = page.text.replace(command, "echo ran: $PWD && exit 7\n")
    assert readme != page.text
    fakes = {"id": "echo 0", "apt-get": 'echo "$@" >> "$HOME/asked"', "npm": "exit 1", "fc-list": "exit 0"}
    ended = run_ci(tmp_path, readme, fakes)
    assert ended.returncode == 7, ended.stderr
    assert ended.stdout.splitlines()[-2:] == ["+ echo ran: $PWD && exit 7", f"ran: {tmp_path}"]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["update", "install"]
    wanted = [name for name in listed.split() if name != "npm"]  # which is there
    assert [word for word in asked[1].split()[1:] if not word.startswith("-")] == wanted


def test_ci_installs_nothing_that_is_there_but_a_newer_node(tmp_path: Path) -> None:
    fakes = dict.fromkeys(("chromium", "apt-get"), "exit 0")
    # The old one, as the check sees it; npm puts the newer one in its place.
    fakes |= {"node": "exit 1", "fc-list": "echo Noto", "npm": 'echo "$@" > "$HOME/npm"'}
    readme = PAGES[0].text.replace(block(PAGES[0], "bash", 1).text, "echo $PATH\n")
    ended = run_ci(tmp_path, readme, fakes)
    assert ended.returncode == 0, ended.stderr
    assert "apt-get" not in ended.stdout
    assert (tmp_path / "npm").read_text().split()[-1] == "node@22"
    assert ended.stdout.splitlines()[-1].startswith(
        f"{tmp_path}/.cache/wecom-agent-tests/node-22/node_modules/node/bin:"
    )


# --- the framework


@BOTH
def test_the_framework_example_has_ten_lines(page: Page) -> None:
    example = block(page, "python")
    assert example.heading == page.headings[FRAMEWORK][1]
    assert example.text.count("\n") == 10
    assert max(map(len, example.text.splitlines())) <= 100


async def test_the_framework_example_answers(tmp_path: Path) -> None:
    script = tmp_path / "bot.py"
    script.write_text(block(PAGES[0], "python").text, encoding="utf-8")
    async with Simulator(bot_id="bot", secret="secret", bot_name="my-bot") as simulator:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environ = {"WECOM_BOT_ID": "bot", "WECOM_BOT_SECRET": "secret", "WECOM_BOT_WS_URL": simulator.ws_url}
        process = await asyncio.create_subprocess_exec(
            sys.executable, script, cwd=tmp_path, env=kept | environ, stderr=asyncio.subprocess.PIPE
        )
        try:
            gateway = simulator.gateway
            await gateway.subscribed(30)
            gateway.group("room", members=("li",))
            assert (await gateway.answered(gateway.say("li", "hello", "room")))[-1].text == "You said: hello"
            picture = gateway.send("li", "image", b"\x89PNG\r\n\x1a\n" + bytes(64))
            assert (await gateway.answered(picture))[-1].text == "That was image."
            process.send_signal(signal.SIGTERM)
            _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert (process.returncode, said.decode()) == (0, "")
        assert not gateway.check()


# --- paths, links, twins


def named_paths(page: Page) -> set[str]:
    """What is written as a path: a file with an extension that we have, or a folder with a slash at its end."""
    extensions = "|".join(("md", "py", "lock", "toml", "service", "yaml", "png", "example", "env"))
    name = r"(?:[\w.*-]|<[^>]+>)+"
    pattern = re.compile(rf"{name}(/{name})*(?:\.(?:{extensions}|db)|/)|\.\w+|agent(/\w+)+")
    return {word for word in page.code if pattern.fullmatch(word) and word != ".backup"}


@BOTH
def test_every_path_that_is_named_exists(page: Page) -> None:
    paths = named_paths(page) - MADE
    assert {"deploy/compose.yaml", "demo/demo.py", "prompts/", "agent/model/data", ".env.example"} <= paths
    beside_prompts = {f"prompts/{name}" for name in paths if (ROOT / "prompts" / name).is_file()}
    missing = [
        path for path in paths if not list(ROOT.glob(path.rstrip("/"))) and f"prompts/{path}" not in beside_prompts
    ]
    assert not missing


@pytest.mark.parametrize("page", [*PAGES, Page(CHANGELOG)], ids=lambda page: page.path.name)
def test_every_relative_link_resolves(page: Page) -> None:
    relative = [link for link in page.links if "://" not in link]
    assert all((page.path.parent / link.partition("#")[0]).exists() for link in relative), relative
    assert not re.findall(r"\]\(\s|\]\[|\]\(#", page.prose), "links are written as [words](target), to files"


def test_the_modules_that_are_named_can_be_imported() -> None:
    for page in PAGES:
        named = set(re.findall(r"`(agent(?:\.\w+)+)`", page.text)) | set(re.findall(r"^agent\.\w+", page.text, re.M))
        assert {"agent.wecom", "agent.simulator"} <= named
        for name in named:
            assert (ROOT / name.replace(".", "/")).exists() or (ROOT / f"{name.replace('.', '/')}.py").exists(), name
        for module in re.findall(r"python -m (tests\S*)", page.text):
            assert (ROOT / module.strip("`").replace(".", "/") / "__main__.py").exists(), module


def test_both_readmes_have_the_same_shape() -> None:
    english, chinese = PAGES
    assert [level for level, _ in english.headings] == [level for level, _ in chinese.headings]
    assert [(len(rows), len(rows[0])) for rows in english.tables] == [
        (len(rows), len(rows[0])) for rows in chinese.tables
    ]
    assert [each.language for each in english.blocks] == [each.language for each in chinese.blocks]
    for one, other in zip(english.blocks, chinese.blocks, strict=True):
        assert not one.language or one.text == other.text
    assert english.links[0] == CHINESE.name
    assert chinese.links[0] == ENGLISH.name
    assert english.links[1:] == chinese.links[1:]
    for mine, theirs in zip(english.sections, chinese.sections, strict=True):
        assert re.findall(r"^(?:- |\d\. )", mine, re.M) == re.findall(r"^(?:- |\d\. )", theirs, re.M)


@BOTH
def test_no_line_is_wider_than_the_page(page: Page) -> None:
    """A Chinese character is as wide as two; tables, commands and links may be wider."""
    prose = [line for line in page.prose.splitlines() if not line.startswith(("|", "!"))]
    wide = [line for line in prose if sum(2 if ord(each) > 0x2E80 else 1 for each in line) > 130]
    assert not wide


# --- the changelog


def test_the_changelog_keeps_its_form() -> None:
    headings = Page(CHANGELOG).headings
    assert headings[0] == (1, "Changelog")
    versions = [words for level, words in headings if level == 2]
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version) for version in versions[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert {words for level, words in headings if level == 3} <= kinds
