"""A far side that a test scripts, and a client that is in a hurry."""

import gc
import importlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from agent.model.client import ModelClient, Patience
from tests.model.far import Far, far_side

KEY = "sk-secret-0123456789abcdef"
# Retries without their pauses; silences as long as a loaded machine may hiccup.
HASTE = replace(Patience(), backoff=0.01, drain=0.5)


@pytest.fixture(scope="session", autouse=True)
def frozen_imports() -> None:
    """Every test ends with a full collection; what the openai library brings along need not be walked each time."""
    importlib.import_module("agent.model.endpoint")
    gc.collect()
    gc.freeze()


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    async with far_side() as side:
        yield side


@pytest.fixture
async def client(far: Far) -> AsyncIterator[ModelClient]:
    async with ModelClient(far.url, KEY, patience=HASTE) as opened:
        yield opened
