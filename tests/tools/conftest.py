"""Every test ends with a full collection; what the document libraries bring along need not be walked each time."""

import gc
import importlib

import pytest

LIBRARIES = ("docx", "hypothesis.strategies", "matplotlib.figure", "openai", "PIL.Image", "reportlab.platypus")


@pytest.fixture(scope="session", autouse=True)
def frozen_imports() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
