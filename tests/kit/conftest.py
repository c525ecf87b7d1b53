"""What all tests of the kit share."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def what_was_there_before_is_no_garbage() -> Iterator[None]:
    """Let the collections of garbage that some clauses make look at their own objects only."""
    gc.freeze()
    yield
    gc.unfreeze()
