"""Builds the release from what is committed, in dist/, and checks it; nothing is uploaded.

It is built twice, in different places and circumstances: once the wheel from the sdist, once from
the tree. Both must have the same bytes. ``tox run -e release`` runs this with what it needs.
"""

import argparse
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.release import second_opinion, surface_guard

ROOT: Final = Path(__file__).parents[2]

IN_SDIST: Final = ("docs/", "src/", "tests/", "LICENSE", "README.md", "pyproject.toml")
"""What of the repository the sdist has: everything but what only the repository needs."""

ADDED_TO_SDIST: Final = frozenset({".gitignore", "PKG-INFO"})
"""What the build adds: its metadata, and what tells a later build which files are stray."""


class ReleaseError(Exception):
    """The release must not be published."""


def build(root: Path, output: Path) -> list[Path]:
    """Build the committed state of a repository, check it, and return the sdist and the wheel."""
    epoch = run(["git", "log", "-1", "--format=%ct"], root).decode().strip()
    listed = run(["git", "ls-tree", "-r", "--name-only", "-z", "HEAD"], root).decode()
    committed = [name for name in listed.split("\0") if name]
    with tempfile.TemporaryDirectory() as name:
        here, there = Path(name, "here"), Path(name, "over", "there")
        for place in (here, there):
            export(root, place)
        # Nothing of the place and the time of building may show.
        for path in there.rglob("*"):
            os.utime(path, (1, 1))
            path.chmod(path.stat().st_mode & 0o700)
        one = build_in(here, [], {"SOURCE_DATE_EPOCH": epoch, "TZ": "UTC", "PYTHONHASHSEED": "0"})
        other = build_in(
            there,
            ["--sdist", "--wheel"],
            {"SOURCE_DATE_EPOCH": epoch, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "1"},
        )
        for name, data in one.items():
            difference = differing_members(data, other.get(name, b""))
            if difference:
                raise ReleaseError(f"{name} is not the same when it is built again: {difference}")
        output.mkdir(exist_ok=True, parents=True)
        for name, data in one.items():
            (output / name).write_bytes(data)
    sdist, wheel = (
        next(output / name for name in one if name.endswith(end)) for end in (".tar.gz", ".whl")
    )
    check_contents(sdist, wheel, committed)
    check_metadata(root, [sdist, wheel])
    return [sdist, wheel]


def export(root: Path, place: Path, reference: str = "HEAD") -> None:
    """Write what is committed, and nothing else."""
    with tarfile.open(fileobj=io.BytesIO(run(["git", "archive", reference], root))) as archive:
        archive.extractall(place, filter="data")


def build_in(place: Path, flags: Sequence[str], environment: Mapping[str, str]) -> dict[str, bytes]:
    """Build in a directory; without flags, the wheel is built from the sdist."""
    command = [sys.executable, "-m", "build", "--no-isolation", *flags]
    run([*command, "--outdir", "dist", "."], place, environment)
    return {path.name: path.read_bytes() for path in sorted((place / "dist").iterdir())}


def members(data: bytes) -> dict[str, bytes]:
    """Return the files of an sdist or a wheel, by name."""
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = [(member.name, archive.extractfile(member)) for member in archive.getmembers()]
        return {name: file.read() for name, file in files if file is not None}


def differing_members(one: bytes, other: bytes) -> str:
    """Say in which files two archives differ; "" if they are the same."""
    if one == other:
        return ""
    if not other:
        return "it was built once only"
    before, after = members(one), members(other)
    names = before.keys() | after.keys()
    found = sorted(name for name in names if before.get(name) != after.get(name))
    return ", ".join(found) or "the same files, with other times, modes or order"


def check_contents(sdist: Path, wheel: Path, committed: Sequence[str]) -> None:
    """Hold that nothing is missing and nothing is there by accident."""
    prefix = f"{sdist.name.removesuffix('.tar.gz')}/"
    in_sdist = {name.removeprefix(prefix) for name in members(sdist.read_bytes())}
    expected = {name for name in committed if name.startswith(IN_SDIST)} | ADDED_TO_SDIST
    _compare(sdist.name, in_sdist, expected)

    info = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    package = {name.removeprefix("src/") for name in committed if name.startswith("src/")}
    added = {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")}
    _compare(wheel.name, members(wheel.read_bytes()), package | added)


def _compare(name: str, found: Iterable[str], expected: set[str]) -> None:
    names = set(found)
    stray, missing = sorted(names - expected), sorted(expected - names)
    if stray or missing:
        raise ReleaseError(f"{name} has stray files {stray} and lacks {missing}")


def check_metadata(root: Path, paths: Sequence[Path]) -> None:
    """Hold that an index takes the metadata, and that a tagged version recorded its surface."""
    run([sys.executable, "-m", "twine", "check", "--strict", *map(str, paths)], root)
    found = re.match(r"gost_core-(\d+\.\d+\.\d+)\.tar\.gz$", paths[0].name)
    if found is None:
        raise ReleaseError(f"{paths[0].name} has no version of the form major.minor.patch")
    tags = run(["git", "tag", "--points-at", "HEAD"], root).decode().split()
    if f"v{found[1]}" not in tags:
        return
    record = run(["git", "show", "HEAD:tests/data/released-surface.txt"], root).decode()
    if not record.startswith(f"# gost_core {found[1]}\n"):
        remedy = "run python -m tests.release.surface_guard --release before the tag"
        raise ReleaseError(f"the surface of {found[1]} is not recorded as released: {remedy}")
    if any(b"//gost-core.invalid/" in data for data in members(paths[1].read_bytes()).values()):
        remedy = "write where the project is into project.urls of pyproject.toml"
        raise ReleaseError(f"the links of {found[1]} lead to a host that does not exist: {remedy}")


def compare(root: Path) -> Iterator[str]:
    """Say what griffe finds broken since the release before this one, and the guard does not."""
    before = ["--merged", "HEAD", "--no-contains", "HEAD", "--sort", "-version:refname"]
    tags = run(["git", "tag", *before, "v[0-9]*"], root).decode().split()
    if not tags:
        yield "No release came before this one: griffe has nothing to compare it with."
        return
    with tempfile.TemporaryDirectory() as name:
        old, new = Path(name, "old"), Path(name, "new")
        export(root, old, tags[0])
        export(root, new)
        surfaces = ((place / "tests/data/surface.txt").read_text("utf-8") for place in (old, new))
        found = list(second_opinion.breakages(old / "src", new / "src"))
        unseen = list(second_opinion.unseen(found, surface_guard.changes(*surfaces)))
    yield f"Since {tags[0]}, griffe finds {len(found)} broken; the guard not these {len(unseen)}:"
    yield from unseen


def run(
    command: Sequence[str], place: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """Run a command, and raise with what it printed if it fails."""
    # A setting of the caller's must not point git at another repository.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    result = subprocess.run(
        command, cwd=place, env={**inherited, **environment}, capture_output=True
    )
    if result.returncode:
        said = (result.stdout + result.stderr).decode(errors="replace")
        raise ReleaseError(f"{' '.join(map(str, command))} failed:\n{said}")
    return result.stdout


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="where to write it")
    output: Path = parser.parse_args().output
    try:
        if shutil.which("git") is None or not (ROOT / ".git").exists():
            raise ReleaseError("a release is built from a git checkout")
        paths = build(ROOT, output)
        print(*compare(ROOT), sep="\n")
        if run(["git", "status", "--porcelain"], ROOT):
            print("What is not committed is not in it.")
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    for path in paths:
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
