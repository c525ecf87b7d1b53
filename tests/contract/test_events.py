"""The events that independent packages share."""

import dataclasses

import pytest

from gost_core.observer import Event, EventType, StatsEvent, StatusEvent


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (StatusEvent(kind="service", service="web", state="ready"), EventType.STATUS),
        (StatsEvent(kind="handler", service="web", client="alice", total_conns=3), EventType.STATS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_event_says_its_type_whatever_it_holds(event: Event, kind: EventType) -> None:
    assert event.type() is kind


@pytest.mark.parametrize("cls", [StatusEvent, StatsEvent])
def test_an_event_that_is_told_nothing_holds_zeros(cls: type[StatusEvent | StatsEvent]) -> None:
    assert set(dataclasses.asdict(cls()).values()) <= {"", 0}


def test_the_counts_of_an_event_are_those_that_stats_has() -> None:
    event = StatsEvent(total_conns=1, current_conns=2, input_bytes=3, output_bytes=4, total_errs=5)
    assert dataclasses.astuple(event)[3:] == (1, 2, 3, 4, 5)
