"""Three packages, one direction: the line knows neither bot nor simulator, the simulator neither of the two."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import agent
import agent.wecom

PACKAGE = Path(agent.__file__).parent
FILES = {
    path: ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(path: Path, module: str) -> Iterator[tuple[str, str]]:
    """(module, name) of everything that a file imports, wherever in it; the name is empty for a whole module."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names):
                yield from ((each.name, "") for each in names)
            case ast.ImportFrom(source, names, level):
                above = ".".join(package.split(".")[: len(package.split(".")) - level + 1]) if level else ""
                yield from ((".".join(filter(None, (above, source))), each.name) for each in names)


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize(
    ("package", "libraries"),
    [
        ("agent.wecom", {"websockets", "cryptography", "httpx2", "av"}),  # av for the extra `voice` alone
        ("agent.simulator", {"websockets", "cryptography", "starlette", "uvicorn"}),
    ],
)
def test_the_line_and_the_far_side_know_themselves_alone(package: str, libraries: set[str]) -> None:
    found = {
        (module, source)
        for path, module in FILES.items()
        if within(module, package)
        for source, name in imports(path, module)
        if not within(source, package) and not within(f"{source}.{name}", package)
    }
    foreign = {each for each in found if each[1].partition(".")[0] not in sys.stdlib_module_names | libraries}
    assert foreign == set()


def test_the_bot_knows_the_public_face_of_the_line() -> None:
    used = {
        (module, source, name)
        for path, module in FILES.items()
        if not within(module, "agent.wecom")
        for source, name in imports(path, module)
        if within(source, "agent.wecom")
    }
    assert used
    assert {each for each in used if each[1] != "agent.wecom" or each[2] not in agent.wecom.__all__} == set()


def test_only_the_playground_knows_the_simulator() -> None:
    users = {
        module
        for path, module in FILES.items()
        if not within(module, "agent.simulator")
        for source, name in imports(path, module)
        if within(source, "agent.simulator") or (source, name) == ("agent", "simulator")
    }
    assert users == {"agent.playground"}
