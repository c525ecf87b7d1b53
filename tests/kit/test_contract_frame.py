"""The frame of gost_core.testing: how clauses are tried, reported, and made into tests."""

import asyncio
import io
import os
import subprocess
import sys
import threading
import time
import unittest
from abc import abstractmethod
from collections.abc import Awaitable, Callable

import pytest
from gost_core.testing._contract import (
    Broken,
    Contract,
    NotTried,
    checks,
    clause,
    expect,
    expect_raises,
    run,
)
from typing_extensions import Protocol

from gost_core.testing import (
    ContractError,
    Report,
    check_registry_registry,
    clauses_of,
    contract_tests,
)
from tests.kit.registries import Forgetful, RightRegistry, Value

pytest_plugins = ("pytester",)


class Bell(Protocol):
    """The interface of these tests."""

    @abstractmethod
    def ring(self, n: int, /) -> int: ...


class RightBell:
    def ring(self, n: int, /) -> int:
        return n


class BellContract(Contract, interface=Bell):
    """Without clauses but ``shape``."""

    async def specimen(self) -> object:
        return RightBell()


def try_all(contract: Contract, time_limit: float = 2.0) -> Report:
    contract.time_limit = time_limit
    return asyncio.run(contract.run())


def outcomes(report: Report) -> dict[str, tuple[str, str]]:
    prefix = f"{report.interface}."
    return {
        result.clause.id.removeprefix(prefix): (result.outcome.value, result.detail)
        for result in report.results
    }


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


# ---- Reports


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


def test_a_report_is_a_table_of_every_clause_in_order() -> None:
    name = f"{Bell.__module__}.Bell"
    assert str(try_all(MixedContract())).splitlines() == [
        f"RightBell as {name}: 2 held, 1 broken, 2 not tried",
        f"  held       {name}.shape",
        "             It has every member of the interface, each with the right call shape.",
        f"  held       {name}.rings",
        "             It rings. (D1)",
        f"  BROKEN     {name}.loud",
        "             It is loud. (D2, D3)",
        "             observed: it whispered",
        "             twice",
        f"  not tried  {name}.echoes",
        "             It echoes. (D4)",
        f"             because: it needs {name}.loud",
        f"  not tried  {name}.stolen",
        "             It can be stolen.",
        "             because: no `thief` was given",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "no_color", "coloured"),
    [
        (Terminal(), None, True),
        (Terminal(), "", True),
        (Terminal(), "1", False),
        (io.StringIO(), None, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, no_color: str | None, coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    report = try_all(MixedContract())
    report.print(stream)
    text = stream.getvalue()
    assert ("\x1b[" in text) == coloured
    plain = text
    for colour in ("\x1b[32m", "\x1b[1;31m", "\x1b[33m", "\x1b[0m"):
        plain = plain.replace(colour, "")
    assert plain == f"{report}\n"


def test_print_writes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    report = try_all(MixedContract())
    report.print()
    assert capsys.readouterr().out == f"{report}\n"


def test_the_error_names_object_interface_and_every_broken_clause() -> None:
    class Worse(MixedContract, interface=Bell):
        @clause("It is red.", "")
        async def red(self) -> None:
            raise Broken("it was blue")

    with pytest.raises(ContractError) as raised:
        asyncio.run(run(Worse(), 2.0))
    name = f"{Bell.__module__}.Bell"
    assert str(raised.value).splitlines() == [
        f"RightBell breaks 2 clauses of {name}",
        f"{name}.loud: It is loud. (D2, D3)",
        "    observed: it whispered",
        "    twice",
        f"{name}.red: It is red.",
        "    observed: it was blue",
    ]
    assert len(raised.value.report.results) == 6


def test_clauses_come_before_anything_runs() -> None:
    clauses = clauses_of(check_registry_registry)
    assert clauses[0].id == "registry.Registry.shape"
    assert len({one.id for one in clauses}) == len(clauses)
    with pytest.raises(TypeError, match="is none of the check_ functions"):
        clauses_of(other)


async def other() -> Report:
    raise AssertionError


# ---- What is not tried


def test_nothing_is_tried_on_an_object_of_the_wrong_shape() -> None:
    class Silent(MixedContract, interface=Bell):
        async def specimen(self) -> object:
            return object()

    assert {outcome for outcome, _ in outcomes(try_all(Silent())).values()} == {
        "BROKEN",
        "not tried",
    }


def test_a_factory_that_fails_does_not_pass_for_a_success() -> None:
    class Failing(MixedContract, interface=Bell):
        async def specimen(self) -> object:
            raise OSError("no metal")

    report = try_all(Failing())
    (shape,) = report.broken
    assert shape.detail == "building the object raised OSError: no metal"
    assert len(report.not_tried) == len(report.results) - 1


def test_an_async_factory_is_named_as_what_it_is() -> None:
    async def make() -> object:
        return RightBell()

    class Async(MixedContract, interface=Bell):
        async def specimen(self) -> object:
            return make()

    (shape,) = try_all(Async()).broken
    assert "the factory is async" in shape.detail


def test_what_needs_an_untried_clause_is_not_tried_either() -> None:
    class Chained(MixedContract, interface=Bell):
        @clause("It returns.", "", after=("stolen",))
        async def returns(self) -> None:
            """Never tried."""

    assert outcomes(try_all(Chained()))["returns"][0] == "not tried"


def test_a_set_up_that_fails_or_hangs_breaks_no_clause() -> None:
    class SetUp(BellContract, interface=Bell):
        @clause("a", "")
        async def failing(self) -> None:
            await self.given(asyncio.to_thread(int, "x"), "casting")

        @clause("b", "")
        async def hanging(self) -> None:
            await self.given(wait_for_ever(), "cooling")

    found = outcomes(try_all(SetUp(), 0.05))
    assert found["failing"][0] == found["hanging"][0] == "not tried"
    assert found["failing"][1].startswith("casting failed: ValueError")
    assert "cooling did not end within 0.05 s" in found["hanging"][1]


def test_a_clause_can_only_come_after_one_that_exists() -> None:
    with pytest.raises(TypeError, match="which do not exist"):

        class Wrong(BellContract, interface=Bell):  # pyright: ignore[reportUnusedClass]  # making it is what fails
            @clause("a", "", after=("nothing",))
            async def something(self) -> None: ...


# ---- What goes wrong in a scenario stays there


class RoughContract(BellContract, interface=Bell):
    @clause("a", "")
    async def hanging(self) -> None:
        await self.within(wait_for_ever(), "ring()")

    @clause("b", "")
    async def stubborn(self) -> None:
        await self.within(self.refuse_to_end(), "ring()")

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
        await self.within(self.cancel_itself(), "ring()")

    @clause("g", "")
    async def fine(self) -> None:
        """Hold."""

    async def cancel_itself(self) -> None:
        raise asyncio.CancelledError

    async def refuse_to_end(self) -> None:
        for _ in range(2):
            try:
                await wait_for_ever()
            except asyncio.CancelledError:
                continue


def test_a_scenario_that_hangs_or_fails_is_bounded_and_the_rest_goes_on() -> None:
    found = outcomes(try_all(RoughContract(), 0.05))
    assert {name: detail for name, (outcome, detail) in found.items() if outcome == "BROKEN"} == {
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
        (ValueError("x"), "ring() raised ValueError: x instead of OSError or KeyError"),
        (None, "ring() raised nothing instead of OSError or KeyError"),
    ],
)
def test_expect_raises_says_what_came_instead(error: Exception | None, observed: str) -> None:
    with pytest.raises(Broken) as raised, expect_raises("ring()", OSError, KeyError):
        fail(error)
    assert str(raised.value) == observed


def test_expect_raises_takes_subclasses() -> None:
    with expect_raises("ring()", OSError):
        fail(FileNotFoundError())


@pytest.mark.parametrize("verdict", [Broken("it whispered"), NotTried("no `thief` was given")])
def test_expect_raises_lets_a_verdict_through(verdict: Exception) -> None:
    with pytest.raises(type(verdict)), expect_raises("ring()", Exception):
        fail(verdict)


# ---- Nothing is left behind


class LeavingContract(BellContract, interface=Bell):
    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []

    def cleanup(self, name: str, error: Exception | None = None) -> Callable[[], Awaitable[None]]:
        async def clean() -> None:
            self.log.append(name)
            if error is not None:
                raise error

        return clean

    @clause("a", "")
    async def leaving(self) -> None:
        self.start(wait_for_ever())
        asyncio.get_running_loop().create_task(wait_for_ever())
        self.keep(self.cleanup("first"))
        self.keep(self.cleanup("second", OSError("stuck")))
        self.keep(wait_for_ever)
        self.keep(self.cleanup("third"))
        raise Broken("on the way")

    @clause("b", "")
    async def following(self) -> None:
        expect(len(asyncio.all_tasks()) == 2, f"{asyncio.all_tasks()}")
        self.log.append("following")


def test_after_a_scenario_its_cleanups_ran_and_its_tasks_are_gone() -> None:
    async def check() -> tuple[Report, set[str]]:
        bystander = asyncio.create_task(wait_for_ever(), name="bystander")
        contract.time_limit = 0.05
        report = await contract.run()
        names = {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}
        bystander.cancel()
        return report, names

    contract = LeavingContract()
    report, names = asyncio.run(check())
    assert contract.log == ["third", "second", "first", "following"]
    assert names == {"bystander"}
    assert outcomes(report)["leaving"] == ("BROKEN", "on the way")
    assert outcomes(report)["following"] == ("held", "")


def test_a_cancelled_check_cleans_up_and_lets_the_cancellation_through() -> None:
    class Waiting(LeavingContract, interface=Bell):
        @clause("a", "")
        async def leaving(self) -> None:
            self.keep(self.cleanup("cleaned up"))
            waiting.set()
            await self.within(wait_for_ever(), "ring()")

    async def check() -> set[str]:
        checking = asyncio.create_task(run(contract, 60.0))
        await waiting.wait()
        await asyncio.sleep(0)
        checking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking
        return {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}

    contract = Waiting()
    waiting = asyncio.Event()
    assert asyncio.run(check()) == set()
    assert contract.log == ["cleaned up"]


def test_checks_that_run_at_once_do_not_end_each_other_s_tasks() -> None:
    class Slow(BellContract, interface=Bell):
        @clause("a", "")
        async def slow(self) -> None:
            await self.within(asyncio.sleep(0.05), "ring()")

    class Quick(BellContract, interface=Bell):
        @clause("a", "")
        async def quick(self) -> None:
            await self.within(asyncio.sleep(0.01), "ring()")

    async def both() -> list[Report]:
        return list(await asyncio.gather(run(Slow(), 2.0), run(Quick(), 2.0), run(Slow(), 2.0)))

    for report in asyncio.run(both()):
        assert len(report.held) == 2, str(report)


def test_what_a_factory_built_is_closed_if_it_can_be() -> None:
    closed: list[str] = []

    class Closing:
        async def close(self) -> None:
            closed.append("closed")

    class Owning(BellContract, interface=Bell):
        @clause("a", "")
        async def owning(self) -> None:
            self.owned(RightBell())
            self.owned(Closing())
            expect(not closed, "closed before the end")

    assert len(try_all(Owning()).held) == 2
    assert closed == ["closed"]


# ---- Threads


class ThreadContract(BellContract, interface=Bell):
    def __init__(self, work: Callable[[], int]) -> None:
        super().__init__()
        self.work = work
        self.results: list[int] = []

    @clause("a", "")
    async def threads(self) -> None:
        self.results = await self.in_threads(self.work, "ring() from threads")


def test_threads_run_at_once_and_give_their_results() -> None:
    barrier = threading.Barrier(4)
    interval = sys.getswitchinterval()
    contract = ThreadContract(lambda: barrier.wait(10) and 0)
    assert len(try_all(contract, 10.0).held) == 2
    assert contract.results == [0, 0, 0, 0]
    assert sys.getswitchinterval() == interval


def test_what_a_thread_raises_is_seen() -> None:
    found = outcomes(try_all(ThreadContract(lambda: int("x"))))
    assert found["threads"][1].startswith("raised ValueError")


def test_threads_that_lock_each_other_out_are_bounded() -> None:
    free = threading.Event()

    def deadlock() -> int:
        free.wait(60)
        return 0

    began = time.monotonic()
    found = outcomes(try_all(ThreadContract(deadlock), 0.05))
    free.set()
    assert found["threads"] == ("BROKEN", "ring() from threads did not end within 0.05 s")
    assert time.monotonic() - began < 30


# ---- Ways to run a check


@checks(MixedContract)
async def check_bell(contract: Contract, /) -> Report:
    return await run(contract, 2.0)


def test_a_check_runs_under_plain_asyncio_and_returns_its_report() -> None:
    report = asyncio.run(check_registry_registry(RightRegistry, Value))
    assert report.subject == "RightRegistry"
    assert report.held
    assert not report.broken


def test_importing_the_checks_imports_no_pytest() -> None:
    program = "import gost_core.testing, sys; print('pytest' in sys.modules)"
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "False\n"


def test_as_unittest_each_clause_is_a_test_and_the_check_runs_once() -> None:
    runs: list[MixedContract] = []

    class Counting(MixedContract, interface=Bell):
        async def specimen(self) -> object:
            runs.append(self)
            return RightBell()

    case = contract_tests(check_bell, Counting())
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
    name = f"{Bell.__module__}.Bell"
    assert result.testsRun == len(clauses_of(check_bell)) == 5
    assert len(runs) == 1
    assert not result.errors
    ((failed, text),) = result.failures
    assert failed.id().endswith(f".test_{name}.loud")
    assert f"{name}.loud: It is loud. (D2, D3)\n    observed: it whispered" in text
    assert {
        (test.id().partition("ContractTest.test_")[2], reason) for test, reason in result.skipped
    } == {
        (f"{name}.echoes", f"{name}.echoes: it needs {name}.loud"),
        (f"{name}.stolen", f"{name}.stolen: no `thief` was given"),
    }


def test_under_pytest_each_clause_is_a_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        from gost_core.testing import check_registry_registry, contract_tests
        from tests.kit.registries import Forgetful, Value

        TestForgetful = contract_tests(check_registry_registry, Forgetful, Value)
        """
    )
    ran = pytester.runpytest_inprocess("-v", "-p", "no:cacheprovider")
    with pytest.raises(ContractError) as raised:
        asyncio.run(check_registry_registry(Forgetful, Value))
    report = raised.value.report
    ran.assert_outcomes(
        passed=len(report.held), failed=len(report.broken), skipped=len(report.not_tried)
    )
    ran.stdout.fnmatch_lines(
        [
            "test_it.py::TestForgetful::test_registry.Registry.found FAILED*",
            "test_it.py::TestForgetful::test_registry.Registry.missing-none PASSED*",
            "*Forgetful breaks 1 clause of registry.Registry",
            "*observed: get() returned None after register()",
        ],
        consecutive=False,
    )
