import pytest

from tests.release import snapshot


def test_the_public_surface_is_as_it_was_reviewed() -> None:
    difference = snapshot.difference()
    if difference:
        pytest.fail(
            "the public surface has changed; if that is meant, run "
            "`python -m tests.release.snapshot` and commit the new "
            f"{snapshot.RECORD.name} with the change\n{difference}",
            pytrace=False,
        )
