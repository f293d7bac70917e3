"""A database file for each test, opened as the bot opens it."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.store import Store, open_store
from agent.store.database import open_for_bot

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A moment that many seconds after the test's beginning."""
    return START + timedelta(seconds=seconds)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "agent.db"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    """The bot's connection without its thread: every statement commits at once."""
    connection = open_for_bot(path)
    yield connection
    connection.close()


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with open_store(path) as opened:
        yield opened
