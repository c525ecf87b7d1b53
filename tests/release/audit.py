"""Says which installed packages have published faults; ``tox run -e audit`` installs what is asked.

"Nothing was found" counts only from a service that finds what is known to be there. So it is first
asked for a release with a published fault. Exit codes: 0 = nothing is known, 1 = faults are known,
2 = nobody could be asked, or not for each package.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

FAULTY: Final = "h11==0.14.0"
"""A release with a published fault, CVE-2025-43859."""

OWN: Final = frozenset({"gost-core", "gost-example-proxy"})
"""What is from this repository, and in no registry."""


class UnansweredError(Exception):
    """No service said, for each package, what is known of it."""


def faults(requirements: Iterable[str], options: Iterable[str] = ()) -> list[str]:
    """Return a line for each published fault of these releases, each ``name==version``."""
    asked = sorted(requirements)
    with tempfile.TemporaryDirectory() as directory:
        listed = Path(directory, "requirements.txt")
        listed.write_text("\n".join(asked), encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--strict", "--no-deps", "--disable-pip"]
        command += ["--progress-spinner=off", "--format=json", f"--requirement={listed}", *options]
        result = subprocess.run(command, capture_output=True, text=True)
    try:
        answers = json.loads(result.stdout)["dependencies"]
    except ValueError:
        raise UnansweredError(last_line(result.stderr)) from None
    answered = {
        f"{canonicalize_name(answer['name'])}=={answer['version']}"
        for answer in answers
        if "vulns" in answer
    }
    if missing := set(asked) - answered:
        raise UnansweredError(f"nothing was said of {', '.join(sorted(missing))}")
    return [
        f"{answer['name']} {answer['version']}: {fault['id']}, mended in "
        f"{', '.join(fault['fix_versions']) or 'no release'}"
        for answer in answers
        for fault in answer["vulns"]
    ]


def last_line(text: str) -> str:
    """Return the last line that is not empty: there a traceback says what it is about."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "no output")


def installed() -> set[str]:
    """Return what is installed here, each as ``name==version``."""
    found = {canonicalize_name(one.name): one.version for one in distributions()}
    return {f"{name}=={version}" for name, version in found.items() if name not in OWN}


def main(arguments: list[str] | None = None) -> int:
    """Print the faults, or why none can be known; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.release.audit", description=__doc__)
    _, options = parser.parse_known_args(arguments)
    try:
        if not faults([FAULTY], options):
            raise UnansweredError(f"the service asked knows no fault of {FAULTY}, which has one")
        here = installed()
        found = faults(here, options)
    except UnansweredError as error:
        print(f"NOT audited: no advisory service answered: {error}", file=sys.stderr)
        return 2
    print(*found, f"{len(here)} packages audited, {len(found)} faults known", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
