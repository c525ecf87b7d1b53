"""How a contract is written down, tried, and made into tests."""

import asyncio
import io
import logging
import os
import subprocess
import sys
import threading
import unittest
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import field
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import Protocol

from gost_core.common.net import ClosedError
from gost_core.testing import Contract, ContractError, NotTried, Outcome, Report, clause, expect
from gost_core.testing._run.attempt import Broken, current
from gost_core.testing._run.contract import FIRST
from gost_core.testing._run.secrets import overheard
from gost_core.testing._run.waiting import (
    applies,
    expect_cancelled,
    expect_raises,
    given,
    in_threads,
    keep,
    need,
    noting_tasks,
    owned,
    start,
    within,
)

pytest_plugins = ("pytester",)


class Bell(Protocol):
    """The interface of these tests."""

    @abstractmethod
    def ring(self, n: int, /) -> int: ...


class RightBell:
    def ring(self, n: int, /) -> int:
        return n


class BellContract(Contract, interface=Bell):
    make: Callable[[], object] = field(default=RightBell, kw_only=False)


NAME = f"{Bell.__module__}.Bell"


def outcomes(report: Report) -> dict[str, tuple[str, str]]:
    return {
        result.clause.id.rpartition(".")[2]: (result.outcome.value, result.detail)
        for result in report.results
    }


def tried(contract: Contract) -> dict[str, tuple[str, str]]:
    return outcomes(asyncio.run(contract.run()))


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


class MixedContract(BellContract, interface=Bell):
    @clause("It rings.", "D1")
    async def rings(self) -> None:
        """Hold."""

    @clause("It is loud.", "D2, D3")
    async def loud(self) -> None:
        raise Broken("it whispered\ntwice")

    @clause("It echoes.", "D4", after=("loud", "rings"))
    async def echoes(self) -> None:
        """Never tried."""

    @clause("It can be stolen.", "")
    async def stolen(self) -> None:
        raise NotTried("no `thief` was given")


# ---- What a class says


def test_ids_are_the_interface_s_for_the_class_that_names_it_and_its_bases() -> None:
    class Family(Contract):
        @clause("It shines.", "")
        async def it_shines(self) -> None: ...

    class Own(Family, interface=Bell):
        @clause("It rings.", "")
        async def rings(self) -> None: ...

    class Ours(Own):
        @clause("It is ours.", "ours")
        async def is_ours(self) -> None: ...

    assert Family.clauses == ()
    assert [one.id for one in Own.clauses] == [
        f"{NAME}.shape",
        f"{NAME}.it-shines",
        f"{NAME}.rings",
    ]
    assert Ours.clauses[:3] == Own.clauses
    [added] = Ours.clauses[3:]
    assert added.id == f"{Ours.__module__}.{Ours.__qualname__}.is-ours"
    assert (added.sentence, added.basis) == ("It is ours.", "ours")


def test_a_family_s_clauses_come_after_what_the_contract_names_as_first() -> None:
    class Family(Contract):
        @clause("It swings.", "D1", after=(FIRST,))
        async def swings(self) -> None: ...

    class Own(
        Family, interface=Bell, first=("hangs",), said={"swings": ("The bell swings.", "D2")}
    ):
        @clause("It hangs.", "")
        async def hangs(self) -> None: ...

    class Heir(Own): ...

    for contract in (Own, Heir):
        _, hangs, swings = contract.clauses
        assert swings.after == (hangs.id,)
        assert (swings.sentence, swings.basis) == ("The bell swings.", "D2")


def test_the_decisions_of_a_clause_are_read_from_its_basis() -> None:
    assert [one.decisions for one in MixedContract.clauses] == [
        (), ("D1",), ("D2", "D3"), ("D4",), ()
    ]  # fmt: skip


def test_a_clause_can_only_come_after_one_that_exists() -> None:
    with pytest.raises(TypeError, match="which do not exist"):

        class Wrong(BellContract):  # pyright: ignore[reportUnusedClass]  # making it is what fails
            @clause("a", "", after=("nothing",))
            async def something(self) -> None: ...


def test_clauses_cannot_wait_for_each_other() -> None:
    with pytest.raises(TypeError, match="egg, hen wait for each other"):

        class Wrong(BellContract):  # pyright: ignore[reportUnusedClass]  # making it is what fails
            @clause("a", "", after=("hen",))
            async def egg(self) -> None: ...

            @clause("b", "", after=("egg",))
            async def hen(self) -> None: ...


@clause("a", "")
async def another(self: Contract) -> None: ...


@pytest.mark.parametrize(
    ("members", "observed"),
    [
        ({"__annotations__": {"rings": str}, "rings": ""}, "MixedContract has a clause of this"),
        ({"rings": another}, "MixedContract has a clause of this name"),
        ({"rings": wait_for_ever}, "MixedContract has a clause of this name"),
        ({"make": another}, "make is both a field and a clause"),
        ({"check": None}, "every contract has a method of this name"),
    ],
)
def test_a_name_stands_for_one_thing(members: dict[str, object], observed: str) -> None:
    with pytest.raises(TypeError, match=observed):
        type("Ours", (MixedContract,), members)


def test_two_families_cannot_give_one_name_to_two_clauses() -> None:
    class One(Contract):
        @clause("a", "")
        async def rings(self) -> None: ...

    class Other(Contract):
        @clause("b", "")
        async def rings(self) -> None: ...

    with pytest.raises(TypeError, match="rings"):
        type("Both", (One, Other), {}, interface=Bell)


def test_what_is_said_anew_exists() -> None:
    with pytest.raises(TypeError, match="says anew"):
        type("Ours", (BellContract,), {}, said={"swings": ("a", "b")})


# ---- Outcomes


def test_each_clause_has_its_outcome_in_order() -> None:
    assert tried(MixedContract()) == {
        "shape": ("held", ""),
        "rings": ("held", ""),
        "loud": ("BROKEN", "it whispered\ntwice"),
        "echoes": ("not tried", f"it needs {NAME}.loud"),
        "stolen": ("not tried", "no `thief` was given"),
    }


def test_only_some_clauses_are_tried_and_what_they_need() -> None:
    class Chained(MixedContract):
        @clause("It returns.", "", after=("rings",))
        async def returns(self) -> None: ...

    returns = Chained.clauses[-1]
    report = asyncio.run(Chained().run(only=[returns.id]))
    assert outcomes(report) == dict.fromkeys(("shape", "rings", "returns"), ("held", ""))


def test_what_is_known_to_be_broken_counts_as_known() -> None:
    report = asyncio.run(MixedContract().run(known={f"{NAME}.loud": "the clapper is of wood"}))
    [known] = report.known
    assert known.detail == "the clapper is of wood\nit whispered\ntwice"
    assert not report.broken
    assert report.raise_if_broken() is report
    assert outcomes(report)["echoes"][0] == "not tried"


def test_what_is_known_to_be_broken_and_is_kept_is_an_error() -> None:
    report = asyncio.run(MixedContract().run(known={f"{NAME}.rings": "it has a crack"}))
    assert "it has a crack" in outcomes(report)["rings"][1]
    assert [one.clause.id for one in report.broken] == [f"{NAME}.rings", f"{NAME}.loud"]


def test_an_unknown_id_is_an_error_that_names_the_nearest() -> None:
    lout = f"{NAME}.lout"
    for running in (MixedContract().run(only=[lout]), MixedContract().run(known={lout: "x"})):
        with pytest.raises(ValueError, match=r"of MixedContract; did you mean '.*\.loud'"):
            asyncio.run(running)


def test_one_id_alone_is_no_collection_of_ids() -> None:
    with pytest.raises(ValueError, match="give a collection of ids"):
        asyncio.run(MixedContract().run(only=f"{NAME}.loud"))


def test_nothing_is_tried_on_an_object_of_the_wrong_shape() -> None:
    assert {outcome for outcome, _ in tried(MixedContract(object)).values()} == {
        "BROKEN",
        "not tried",
    }


def test_a_factory_that_fails_does_not_pass_for_a_success() -> None:
    def fail() -> object:
        raise OSError("no metal")

    found = tried(MixedContract(fail))
    assert found["shape"][1].startswith("building the object raised OSError: no metal")
    assert [outcome for outcome, _ in found.values()].count("not tried") == len(found) - 1


def test_a_factory_that_is_none_is_refused_at_once() -> None:
    make: Any = RightBell()
    with pytest.raises(TypeError, match="`make` must be a function that builds one"):
        BellContract(make)


def test_an_async_factory_is_named_as_what_it_is() -> None:
    async def make() -> object:
        return RightBell()

    assert "the factory is async" in tried(MixedContract(make))["shape"][1]


@pytest.mark.needs("threads")
def test_a_step_on_the_way_that_fails_or_hangs_breaks_the_clause() -> None:
    class SetUp(BellContract):
        @clause("a", "")
        async def failing(self) -> None:
            await given(asyncio.to_thread(int, "x"), "casting")

        @clause("b", "")
        async def hanging(self) -> None:
            await given(wait_for_ever(), "cooling")

    found = tried(SetUp(time_limit=0.05))
    assert found["failing"][0] == found["hanging"][0] == "BROKEN"
    assert found["failing"][1].startswith("casting raised ValueError")
    assert "cooling did not end within 0.05 s" in found["hanging"][1]


def test_a_clause_that_an_object_may_do_without_holds_and_says_why() -> None:
    class Silent(BellContract):
        @clause("a", "")
        async def loud(self) -> None:
            applies(isinstance(self.make(), str), "it has no volume")
            raise Broken("it was tried all the same")

    report = asyncio.run(Silent().run())
    assert outcomes(report)["loud"] == ("held", "it has no volume")
    assert "loud (it has no volume)" in " ".join(str(report).split())


# ---- What goes wrong in a scenario stays there


class RoughContract(BellContract, interface=Bell):
    @clause("a", "")
    async def hanging(self) -> None:
        await within(wait_for_ever(), "ring()")

    @clause("b", "")
    async def stubborn(self) -> None:
        await within(self._refuse_to_end(), "ring()")

    @clause("c", "")
    async def raising(self) -> None:
        raise KeyError("clapper")

    @clause("d", "")
    async def exiting(self) -> None:
        sys.exit(3)

    @clause("e", "")
    async def cancelled(self) -> None:
        raise asyncio.CancelledError

    @clause("f", "")
    async def cancelled_within(self) -> None:
        await within(self._cancel_itself(), "ring()")

    @clause("g", "")
    async def fine(self) -> None:
        """Hold."""

    async def _cancel_itself(self) -> None:
        raise asyncio.CancelledError

    async def _refuse_to_end(self) -> None:
        for _ in range(2):
            try:
                await wait_for_ever()
            except asyncio.CancelledError:
                continue


def test_a_scenario_that_hangs_or_fails_is_bounded_and_the_rest_goes_on() -> None:
    found = tried(RoughContract(time_limit=0.05))
    broken = {name: detail for name, (outcome, detail) in found.items() if outcome == "BROKEN"}
    assert {name: detail.partition(", at ")[0] for name, detail in broken.items()} == {
        "hanging": "ring() did not end within 0.05 s",
        "stubborn": "ring() did not end within 0.05 s",
        "raising": "raised KeyError: 'clapper'",
        "exiting": "raised SystemExit: 3",
        "cancelled": "raised CancelledError, cancelled by nobody here",
        "cancelled-within": "ring() was cancelled, by nobody here",
    }
    assert found["fine"] == ("held", "")


def fail(error: BaseException | None) -> None:
    if error is not None:
        raise error


@pytest.mark.parametrize(
    ("error", "observed"),
    [
        (ValueError("x"), r"ring\(\) raised ValueError: x, at .* instead of OSError or KeyError"),
        (None, r"ring\(\) raised nothing instead of OSError or KeyError"),
    ],
)
def test_expect_raises_says_what_came_instead(error: Exception | None, observed: str) -> None:
    with pytest.raises(Broken, match=observed), expect_raises("ring()", OSError, KeyError):
        fail(error)


def test_two_classes_of_one_name_are_told_apart_by_their_modules() -> None:
    ours = type("ClosedError", (OSError,), {})
    observed = r"ring\(\) raised tests\.kit\.\S+\.ClosedError, at .* instead of gost_core\.\S+Error"
    with pytest.raises(Broken, match=observed), expect_raises("ring()", ClosedError):
        fail(ours())


def test_expect_raises_takes_subclasses() -> None:
    with expect_raises("ring()", OSError):
        fail(FileNotFoundError())


@pytest.mark.parametrize("verdict", [Broken("it whispered"), NotTried("no `thief` was given")])
def test_expect_raises_lets_a_verdict_through(verdict: Exception) -> None:
    with pytest.raises(type(verdict)), expect_raises("ring()", Exception):
        fail(verdict)


def test_what_follows_a_cancelled_call_says_so() -> None:
    class Cancelling(BellContract):
        @clause("a", "")
        async def ringing(self) -> None:
            for _ in range(3):
                await expect_cancelled(start(wait_for_ever()), "ring()")
            raise Broken("it is mute")

    assert tried(Cancelling())["ringing"][1] == "it is mute; a cancelled ring() came before"


def test_the_verbs_belong_into_a_clause() -> None:
    with pytest.raises(RuntimeError, match="belongs into a clause"):
        current()


# ---- Where something was raised


def deep(address: str) -> int:
    return {"known": 1}[address]


def deeper(address: str) -> int:
    return deep(address)


class LookingUp(RightBell):
    def ring(self, n: int, /) -> int:
        return deeper("example.net:80")


class CallingContract(BellContract, interface=Bell):
    hook: Callable[[], Awaitable[object]] | None = None

    @clause("a", "")
    async def rings(self) -> None:
        bell = self.make()
        assert isinstance(bell, RightBell)
        bell.ring(1)

    @clause("b", "")
    async def hooked(self) -> None:
        assert self.hook is not None
        await given(self.hook(), "`hook`")


def place_of(name: str, text: str) -> str:
    lines = Path(__file__).read_text("utf-8").splitlines()
    number = next(n for n, line in enumerate(lines, 1) if line.strip().startswith(text))
    return f"{os.path.relpath(__file__)}:{number} in {name}"


def test_an_observation_names_the_line_where_the_object_raised() -> None:
    detail = tried(CallingContract(LookingUp))["rings"][1]
    place = place_of("deep", 'return {"known"')
    assert detail == f"raised KeyError: 'example.net:80', at {place}"


def test_a_reason_names_the_line_where_a_hook_raised() -> None:
    async def hook() -> None:
        int("three")

    detail = tried(CallingContract(hook=hook))["hooked"][1]
    place = place_of("hook", "int(")
    assert detail.endswith(f", at {place}")


@pytest.mark.needs("processes")
def test_what_a_library_raises_names_the_library_and_who_called_it(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "site-packages" / "chimes.py"
    package.parent.mkdir(parents=True)
    program = f"""
import sys, sysconfig
paths = dict(sysconfig.get_paths(), purelib={str(package.parent)!r})
sysconfig.get_path = lambda name: paths[name]
sys.path.insert(0, {str(package.parent)!r})
import chimes
from gost_core.testing._run.report import describe
try:
    chimes.ring()
except ValueError as error:
    print(describe(error))
"""
    package.write_text("def ring():\n    raise ValueError('cracked')\n")
    ran = run_python(program)
    assert ran == f"ValueError: cracked, at {package}:2 in ring, called at <string>:9 in <module>\n"


def run_python(program: str) -> str:
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


# ---- Nothing is left behind


class LeavingContract(BellContract, interface=Bell):
    log: list[str] = field(default_factory=list[str])

    def _cleanup(self, name: str, error: Exception | None = None) -> Callable[[], Awaitable[None]]:
        async def clean() -> None:
            self.log.append(name)
            if error is not None:
                raise error

        return clean

    @clause("a", "")
    async def leaving(self) -> None:
        start(wait_for_ever())
        asyncio.get_running_loop().create_task(wait_for_ever())
        keep(self._cleanup("first"))
        keep(self._cleanup("second", OSError("stuck")))
        keep(wait_for_ever)
        keep(self._cleanup("third"))
        raise Broken("on the way")

    @clause("b", "")
    async def following(self) -> None:
        expect(len(asyncio.all_tasks()) == 2, f"{asyncio.all_tasks()}")
        self.log.append("following")


def test_after_a_scenario_its_cleanups_ran_and_its_tasks_are_gone() -> None:
    async def check() -> tuple[Report, set[str]]:
        bystander = asyncio.create_task(wait_for_ever(), name="bystander")
        report = await contract.run()
        names = {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}
        bystander.cancel()
        return report, names

    contract = LeavingContract(time_limit=0.05)
    report, names = asyncio.run(check())
    assert contract.log == ["third", "second", "first", "following"]
    assert names == {"bystander"}
    assert outcomes(report)["leaving"] == ("BROKEN", "on the way")
    assert outcomes(report)["following"] == ("held", "")


def test_what_is_closed_slowly_is_closed_at_once() -> None:
    class Slow(BellContract):
        closing = most = 0

        async def close(self) -> None:
            self.closing += 1
            Slow.most = max(Slow.most, self.closing)
            await asyncio.sleep(0.5)
            self.closing -= 1

        @clause("a", "")
        async def ringing(self) -> None:
            for _ in range(20):
                keep(self.close)

    assert tried(Slow())["ringing"] == ("held", "")
    assert Slow.most > 1


def test_a_cancelled_run_cleans_up_and_lets_the_cancellation_through() -> None:
    class Waiting(BellContract):
        log: list[str]

        @clause("a", "")
        async def waiting(self) -> None:
            async def clean_up() -> None:
                self.log.append("cleaned up")

            keep(clean_up)
            is_waiting.set()
            await within(wait_for_ever(), "ring()")

    async def check() -> set[str]:
        running = asyncio.create_task(contract.run())
        await is_waiting.wait()
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}

    contract = Waiting(log=[], time_limit=60.0)
    is_waiting = asyncio.Event()
    assert asyncio.run(check()) == set()
    assert contract.log == ["cleaned up"]


def test_one_contract_can_run_twice_and_twice_at_once() -> None:
    class Slow(BellContract):
        @clause("a", "")
        async def slow(self) -> None:
            other = start(wait_for_ever())
            await within(asyncio.sleep(0.01), "ring()")
            expect(not other.done(), "another run ended the task of this one")

    async def thrice() -> list[Report]:
        return [*await asyncio.gather(contract.run(), contract.run()), await contract.run()]

    contract = Slow()
    for report in asyncio.run(thrice()):
        assert len(report.held) == 2, str(report)


def test_what_a_factory_built_is_closed_if_it_can_be() -> None:
    closed: list[str] = []

    class Closing:
        async def close(self) -> None:
            closed.append("closed")

    class Owning(BellContract):
        @clause("a", "")
        async def owning(self) -> None:
            owned(RightBell())
            owned(Closing())
            expect(not closed, "closed before the end")

    assert tried(Owning())["owning"] == ("held", "")
    assert closed == ["closed"]


def test_calls_that_overlap_note_their_own_tasks_and_leave_the_loop_as_it_was() -> None:
    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=loop, **options)

    async def begin(name: str, release: asyncio.Event) -> None:
        for _ in range(2):
            await asyncio.create_task(release.wait(), name=name)

    async def noted(before: Any, last: int) -> list[list[str]]:
        loop, releases = asyncio.get_running_loop(), [asyncio.Event(), asyncio.Event()]
        loop.set_task_factory(before)
        begun: list[list[asyncio.Task[Any]]] = [[], []]
        calls = [
            asyncio.ensure_future(noting_tasks(begin(str(number), releases[number]), begun[number]))
            for number in range(2)
        ]
        await asyncio.sleep(0)
        for number in (1 - last, last):
            releases[number].set()
            await calls[number]
        await asyncio.create_task(asyncio.sleep(0), name="nobody's")
        assert loop.get_task_factory() is before
        return [[task.get_name() for task in one] for one in begun]

    for before in (None, factory):
        for last in range(2):
            assert asyncio.run(noted(before, last)) == [["0", "0"], ["1", "1"]]


# ---- Threads


class ThreadContract(BellContract, interface=Bell):
    work: Callable[[int], int]
    results: list[list[int]] = field(default_factory=list[list[int]])

    @clause("a", "")
    async def threads(self) -> None:
        self.results.extend(await in_threads(self.work, 2, "ring() from threads"))


@pytest.mark.needs("threads")
def test_threads_run_at_once_and_give_their_results() -> None:
    barrier = threading.Barrier(4)
    interval = sys.getswitchinterval()
    contract = ThreadContract(work=lambda number: 0 * barrier.wait(10) + number, time_limit=10.0)
    assert tried(contract)["threads"] == ("held", "")
    assert contract.results == [[0, 1]] * 4
    assert sys.getswitchinterval() == interval


@pytest.mark.needs("threads")
def test_what_a_thread_raises_is_seen() -> None:
    assert tried(ThreadContract(work=lambda number: int("x")))["threads"][1].startswith(
        "raised ValueErr"
    )


@pytest.mark.needs("threads")
def test_threads_that_lock_each_other_out_are_bounded() -> None:
    free = threading.Event()

    def deadlock(number: int) -> int:
        free.wait()
        return number

    found = tried(ThreadContract(work=deadlock, time_limit=0.05))
    free.set()
    assert found["threads"] == ("BROKEN", "ring() from threads did not end within 0.05 s")


# ---- Ways to run a contract


def test_check_prints_the_report_once_and_returns_it(capsys: pytest.CaptureFixture[str]) -> None:
    report = BellContract().check()
    assert capsys.readouterr().out == f"{report}\n"
    assert [one.outcome for one in report.results] == [Outcome.HELD]


def test_check_raises_what_is_broken_after_it_has_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ContractError) as raised:
        MixedContract().check(only=[f"{NAME}.loud"])
    assert [one.clause.id for one in raised.value.report.broken] == [f"{NAME}.loud"]
    assert capsys.readouterr().out == f"{raised.value.report}\n"


def test_check_within_an_event_loop_says_what_to_do() -> None:
    async def check() -> None:
        BellContract().check()

    with pytest.raises(RuntimeError, match=r"await run\(\)"):
        asyncio.run(check())


def test_run_without_asyncio_says_what_it_needs() -> None:
    with pytest.raises(RuntimeError, match="asyncio event loop"):
        BellContract().run().send(None)


@pytest.mark.needs("threads")
def test_a_terminal_is_told_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def write(self, text: str, /) -> int:
            if text.strip():
                told.set()
            return super().write(text)

    class Slow(BellContract):
        @clause("a", "")
        async def slow(self) -> None:
            await within(asyncio.to_thread(told.wait), "ring()")

    told = threading.Event()
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    asyncio.run(Slow(time_limit=60.0).run())
    assert terminal.getvalue() == f"trying {Slow.clauses[1].id} ...\n"


@pytest.mark.needs("processes")
def test_importing_the_package_loads_no_contract_and_no_pytest() -> None:
    program = """
import gost_core.testing, sys
print(*sorted(n for n in sys.modules if n.startswith('gost_core.testing') and '._' not in n))
print('pytest' in sys.modules)
"""
    assert run_python(program) == "gost_core.testing\nFalse\n"


def test_as_unittest_each_clause_is_a_test_and_the_contract_runs_once() -> None:
    made: list[RightBell] = []

    class CountedBell(RightBell):
        def __init__(self) -> None:
            made.append(self)

    case = MixedContract(CountedBell).as_tests()
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
    assert case.__name__ == "CountedBellMixedContract"
    assert case.__module__ == __name__
    assert result.testsRun == len(MixedContract.clauses) == 5
    assert len(made) == 1
    assert not result.errors
    ((failed, text),) = result.failures
    assert failed.id().endswith(f".test_{NAME}.loud")
    assert "it whispered\ntwice\n" in text
    assert "File " not in text
    assert {
        (test.id().partition("Contract.test_")[2], reason) for test, reason in result.skipped
    } == {
        (f"{NAME}.echoes", f"{NAME}.echoes: it needs {NAME}.loud"),
        (f"{NAME}.stolen", f"{NAME}.stolen: no `thief` was given"),
    }


def test_under_pytest_a_failure_begins_with_what_was_observed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        from tests.kit.test_contract import NAME, CallingContract, LookingUp, MixedContract

        TestMixed = MixedContract().as_tests(known={f"{NAME}.loud": "of wood"})
        TestRaising = CallingContract(LookingUp).as_tests(only=[f"{NAME}.rings"])
        """
    )
    # The plugin of Hypothesis warns when it is first imported where warnings are errors.
    without = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    ran = pytester.runpytest_inprocess("-v", "-rs", *without)
    ran.assert_outcomes(passed=3, failed=1, skipped=3)
    ran.stdout.fnmatch_lines(
        [
            "test_it.py::TestRaising::test_*.Bell.rings FAILED*",
            "raised KeyError: 'example.net:80', at *test_contract.py:* in deep",
            "SKIPPED*Bell.loud is known to be broken: of wood*",
        ],
        consecutive=False,
    )
    ran.stdout.no_fnmatch_line("*in test")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("make", "no `make` was given"),
        ("one` or `other", "no `one` or `other` was given"),
        ("item` that has a marker", "no `item` that has a marker was given"),
    ],
)
def test_quotes_are_closed(name: str, said: str) -> None:
    with pytest.raises(NotTried, match=f"^{said}$"):
        need(None, name)


def test_a_format_that_does_not_fit_is_no_error_to_who_logs() -> None:
    quiet = logging.getLogger("tests.kit.quiet")
    quiet.propagate = False
    with overheard("gost-core-testing-secret"):
        quiet.debug("%d of %d", 1)
    with pytest.raises(Broken), overheard("gost-core-testing-secret"):
        quiet.debug("%d of %d", "gost-core-testing-secret")
