"""The release: what is committed, the same bytes whoever builds it, and nothing else."""

import io
import re
import shutil
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from tests.release import release, second_opinion
from tests.release.release import ReleaseError
from tests.release.surface_guard import Change, Party

ROOT: Final = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(
        shutil.which("git") is None
        or not all(map(find_spec, ("build", "griffe", "hatchling", "twine"))),
        reason="git or the dependency group 'release' is not installed: run tox -e release",
    ),
]

HOOK: Final = """
import os
from pathlib import Path
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        Path(self.root, "src/gost_core/zone.txt").write_text(os.environ["TZ"])
"""


def git(repository: Path, *command: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
    release.run(["git", *identity, *command], repository)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository of its own with all that this one has."""
    repository = tmp_path / "repository"
    repository.mkdir()
    for name in ("docs", "src", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / name, repository / name, ignore=ignored)
    for name in (".gitignore", "LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, repository)
    (repository / "notes.txt").write_text("of the repository alone")
    git(repository, "init", "-q")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "all")
    return repository


def edit(repository: Path, file: str, old: str, new: str) -> None:
    path = repository / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", f"edit {file}")


def test_what_is_committed_is_built_the_same_again_whatever_lies_about(
    repository: Path, tmp_path: Path
) -> None:
    first = release.build(repository, tmp_path / "first")
    (repository / "docs" / "draft.md").write_text("not committed")
    (repository / "src" / "gost_core" / "listener.py").write_text("not committed")
    second = release.build(repository, tmp_path / "second")
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]

    sdist, wheel = (release.members(path.read_bytes()) for path in first)
    names = {name.partition("/")[2] for name in sdist}
    assert {"docs/decisions.md", "src/gost_core/py.typed", "tests/release/test_release.py"} <= names
    assert "notes.txt" not in names
    assert "gost_core/py.typed" in wheel
    (metadata,) = (data.decode() for name, data in wheel.items() if name.endswith("/METADATA"))
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    assert required == ["Requires-Dist: typing-extensions>=4.7"]

    committed = [f"src/{name}" for name in wheel if name.startswith("gost_core/")]
    with pytest.raises(ReleaseError, match=r"stray files \[.*'docs/.*lacks \['tests/new\.py'\]"):
        release.check_contents(first[0], first[1], [*committed, "tests/new.py"])

    links = re.findall(r'(?:\]\(|src=")([^")]+)', metadata.partition("\n\n")[2])
    assert len(links) > 10
    assert [link for link in links if not link.startswith("https://")] == []

    git(repository, "tag", "v9.9.9")
    release.check_metadata(repository, first)
    version = first[0].name.removeprefix("gost_core-").removesuffix(".tar.gz")
    git(repository, "tag", f"v{version}")
    record = repository / "tests" / "data" / "released-surface.txt"
    if not record.read_text(encoding="utf-8").startswith(f"# gost_core {version}\n"):
        with pytest.raises(ReleaseError, match="is not recorded as released"):
            release.check_metadata(repository, first)
        record.write_text(f"# gost_core {version}\n", encoding="utf-8")
        git(repository, "commit", "-qam", "record")
        git(repository, "tag", "--force", f"v{version}")
    if "//gost-core.invalid/" in metadata:
        with pytest.raises(ReleaseError, match=r"write where the project is into project\.urls"):
            release.check_metadata(repository, first)


def test_a_build_that_tells_where_it_was_made_is_refused(repository: Path, tmp_path: Path) -> None:
    (repository / "hatch_build.py").write_text(HOOK)
    include = '"/docs", "/src", "/tests"'
    hook = ', "/hatch_build.py"]\n[tool.hatch.build.hooks.custom]\n'
    edit(repository, "pyproject.toml", f"{include}]\n", f"{include}{hook}")
    with pytest.raises(ReleaseError, match=r"not the same when it is built again: .*zone\.txt"):
        release.build(repository, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_what_pyproject_leaves_out_of_the_sdist_is_named(repository: Path, tmp_path: Path) -> None:
    edit(repository, "pyproject.toml", '"/src", "/tests"', '"/src"')
    with pytest.raises(ReleaseError, match=r"lacks .*'tests/conftest\.py'"):
        release.build(repository, tmp_path / "dist")


def test_metadata_that_an_index_would_not_show_is_refused(repository: Path, tmp_path: Path) -> None:
    edit(repository, "docs/_made/index_page.py", "text/markdown", "text/x-rst")
    with pytest.raises(ReleaseError, match="twine check --strict"):
        release.build(repository, tmp_path / "dist")


def test_archives_are_compared_to_the_last_byte() -> None:
    def wheel(text: str, year: int) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(zipfile.ZipInfo("a.py", (year, 1, 1, 0, 0, 0)), text)
        return file.getvalue()

    def sdist(text: str) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            member = tarfile.TarInfo("a.py")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        return file.getvalue()

    assert release.differing_members(wheel("1", 2020), wheel("1", 2020)) == ""
    assert release.differing_members(wheel("1", 2020), wheel("2", 2020)) == "a.py"
    assert "other times" in release.differing_members(wheel("1", 2020), wheel("1", 2021))
    assert release.differing_members(sdist("1"), sdist("2")) == "a.py"
    assert "once only" in release.differing_members(sdist("1"), b"")


def test_griffe_has_nothing_to_say_before_the_second_release(repository: Path) -> None:
    git(repository, "tag", "v0.1.0")
    (line,) = release.compare(repository)
    assert "nothing to compare it with" in line


def test_griffe_is_asked_about_the_release_before_and_says_what_the_guard_does_not(
    repository: Path,
) -> None:
    for tag in ("v0.9.0", "v0.10.0"):
        git(repository, "commit", "-qm", tag, "--allow-empty")
        git(repository, "tag", tag)
    was, is_ = "network: str, addr: str, /) -> Conn", "addr: str, network: str, /) -> Conn"
    edit(repository, "src/gost_core/common/net.py", was, is_)
    git(repository, "tag", "v0.11.0")
    head, *unseen = release.compare(repository)
    assert head.startswith("Since v0.10.0, griffe finds 2 broken")
    assert len(unseen) == 2  # the record of the surface is the old one, so the guard sees nothing
    assert all("Dialer.dial" in line for line in unseen)
    edit(repository, "tests/data/surface.txt", was, is_)
    assert [*release.compare(repository)][1:] == []


@pytest.mark.parametrize(
    ("name", "is_seen"),
    [
        ("gost_core.chain.RouterOptions", True),
        ("gost_core.chain.RouterOptions.retries", True),
        ("gost_core.chain.RouterOptions.retries.real", True),
        ("gost_core.chain.RouterOptions.retry", False),
        ("gost_core.chain.Router", False),
        ("gost_core.hop.Hop", False),
    ],
)
def test_the_guard_has_seen_what_it_calls_broken_by_the_name_of_a_part_or_a_whole(
    name: str, is_seen: bool
) -> None:
    broken = Change("gost_core.chain.RouterOptions.retries", "", "", {Party.CALLERS: ("why",)})
    harmless = Change("gost_core.hop.Hop", "", "", {})
    found = second_opinion.unseen([(name, "what")], [broken, harmless])
    assert [*found] == ([] if is_seen else ["what"])


def test_a_command_that_fails_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="not a git repository"):
        release.build(tmp_path, tmp_path / "dist")
