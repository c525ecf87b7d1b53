"""The benchmarks: ``python -m tests.benchmarks``, or ``tox -e bench``, which draws the picture too.

They measure ratios, side by side in one run, and need Linux and the dependency group ``bench``.
"""

import argparse
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from datetime import date
from importlib import metadata
from pathlib import Path

# Before the package that proxy.py installs, which is called proxy too.
sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "examples"))

from tests.benchmarks import calling, checking, growth, importing, picture, relaying, routing
from tests.benchmarks.measure import Figure

PARTS: dict[str, Callable[[bool], Iterator[Figure]]] = {
    "imports": importing.figures,
    "calls": calling.figures,
    "routes": routing.figures,
    "growth": growth.figures,
    "checks": checking.figures,
    "relay": relaying.figures,
}
NOTES = {"imports": importing.WHY}
"""What a part says about its figures."""

HEAD = f"  {'':<52} {'median':>9} [quartiles] unit   bound"

EXPLANATION = f"""\
parts: {", ".join(PARTS)}

A line of the table gives the median of the rounds and, in brackets, the quartiles; "x" is a ratio,
taken round by round of subjects that took turns. A bound that does not hold is marked with !!.
The whole takes about ten minutes, on a machine that should do nothing else meanwhile.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measure the contract and the example proxy beside others.",
        epilog=EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to measure; all by default")
    parser.add_argument("--quick", action="store_true", help="see that it works; no good figures")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the ratios (SVG)")
    arguments = parser.parse_args()
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    drawn: dict[str, list[Figure]] = {}
    print(now_and_here(), versions(), sep="\n")
    for part in arguments.parts or PARTS:
        print(f"\n{part}", HEAD, sep="\n")
        for figure in PARTS[part](arguments.quick):
            print(row(figure), flush=True)
            if figure.unit == "x":
                drawn.setdefault(part, []).append(figure)
        print(end=NOTES.get(part, ""))
    if arguments.picture is not None:
        arguments.picture.parent.mkdir(parents=True, exist_ok=True)
        arguments.picture.write_text(picture.draw(drawn, [now_and_here(), versions()]), "utf-8")


def now_and_here() -> str:
    """Say when and where the figures are measured."""
    models = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.M)
    model = models[0] if models else platform.machine()
    return (
        f"{date.today()}, {model}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )


def versions() -> str:
    """Say which of what is compared is installed, and in which version."""
    compared = {"anyio", "opentelemetry-api", "pproxy", "proxy.py", "trio", "twisted"}
    compared |= {"gost-core", "zope.interface"}
    found = {one.name.lower(): one.version for one in metadata.distributions()}
    return ", ".join(f"{name} {found[name]}" for name in sorted(compared & found.keys()))


def row(figure: Figure) -> str:
    middle, (low, high) = figure.samples.middle(), figure.samples.quartiles()
    text = f"  {figure.subject:<52} {middle:>9.4g} [{low:.4g} .. {high:.4g}] {figure.unit}"
    if figure.bound is None:
        return text
    return f"{text}   {'ok' if figure.bound.holds(middle) else '!!'} {figure.bound}"


if __name__ == "__main__":
    main()
