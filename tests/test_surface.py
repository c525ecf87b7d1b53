import pytest

import surface


def test_the_public_surface_is_as_it_was_reviewed() -> None:
    difference = surface.difference()
    if difference:
        pytest.fail(
            "the public surface has changed; if that is meant, run `python tests/surface.py` and "
            f"commit the new {surface.RECORD.name} with the change\n{difference}",
            pytrace=False,
        )
