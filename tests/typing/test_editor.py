"""What an editor shows over a name is what the name says of itself."""

import pytest

from tests.site import hover

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(
        hover.PROGRAM is None,
        reason="pyright is not installed here; the dependency group 'types' has it",
    ),
]


def test_an_editor_shows_what_each_member_says() -> None:
    says = dict(hover.members())
    shown = dict(zip(says, hover.shown(tuple(says)), strict=True))
    assert [name for name, text in says.items() if text.splitlines()[0] not in shown[name]] == []
