"""Nodes."""

import asyncio
import copy
import pickle
from collections.abc import Callable
from dataclasses import fields

import pytest

from gost_core.chain import (
    HTTPNodeSettings,
    Node,
    NodeOptions,
    ProbeResult,
    ProbeResultReader,
    http_node_option,
    metadata_node_option,
    network_node_option,
    priority_node_option,
)
from gost_core.metadata import Metadatable
from gost_core.selector import Markable
from tests.contract.untyped import untyped

COPIES: dict[str, Callable[[Node], Node]] = {"copy": Node.copy, "copy.copy": copy.copy}

each_copy = pytest.mark.parametrize("make_copy", COPIES.values(), ids=COPIES)


class Settings:
    """Metadata in memory."""

    def __init__(self) -> None:
        self.values = dict[str, object]()

    def is_exists(self, key: str, /) -> bool:
        return key.lower() in self.values

    def set(self, key: str, value: object, /) -> None:
        self.values[key.lower()] = value

    def get(self, key: str, /) -> object:
        return self.values.get(key.lower())


class Probe:
    """Counts how often it was stopped."""

    def __init__(self) -> None:
        self.stops = 0

    def stop(self) -> bool:
        self.stops += 1
        return True


# ---- Construction and identity


def test_a_node_has_what_it_was_given_and_zero_values_besides() -> None:
    node = Node("a", "[::1]:1080")
    assert (node.name, node.addr) == ("a", "[::1]:1080")
    assert node.options() == NodeOptions()
    assert node.metadata() is None
    assert node.probe_result() is None


def test_options_are_applied_in_order_and_none_among_them_is_skipped() -> None:
    options = [None, network_node_option("udp"), priority_node_option(2), None]
    node = Node("a", "", *options, network_node_option("unix"))
    assert node.options() == NodeOptions(network="unix", priority=2)


def test_an_option_of_an_implementers_own_is_applied() -> None:
    def raise_priority(options: NodeOptions) -> None:
        options.priority += 5

    node = Node("a", "", priority_node_option(2), raise_priority)
    assert node.options().priority == 7


def test_options_are_live_and_each_node_has_its_own() -> None:
    one, other = Node("a", ""), Node("a", "")
    assert one.options() is one.options()
    one.options().priority = 3
    assert one.options().priority == 3
    assert other.options().priority == 0


def test_two_nodes_of_the_same_name_and_address_are_two_nodes() -> None:
    one, other = Node("a", ":1080"), Node("a", ":1080")
    assert one != other
    assert len({one, other, one}) == 2


def test_a_node_answers_to_what_selectors_look_for() -> None:
    settings = Settings()
    node: object = Node("a", "", metadata_node_option(settings))
    assert isinstance(node, Markable)
    assert isinstance(node, ProbeResultReader)
    assert isinstance(node, Metadatable)
    assert node.metadata() is settings


def test_each_node_has_a_marker_of_its_own_that_stays_the_same() -> None:
    one, other = Node("a", ""), Node("a", "")
    one.marker().mark()
    assert one.marker() is one.marker()
    assert one.marker().count() == 1
    assert other.marker().count() == 0


def test_the_repr_names_the_node_and_shows_no_settings() -> None:
    http = HTTPNodeSettings(host="s3cret", request_header={"Authorization": "s3cret"})
    text = repr(Node("a", "[::1]:1080", http_node_option(http)))
    assert "'a'" in text
    assert "'[::1]:1080'" in text
    assert "s3cret" not in text


# ---- Copies


@each_copy
def test_a_copy_is_another_node_with_the_same_name_and_address(
    make_copy: Callable[[Node], Node],
) -> None:
    node = Node("a", ":1080")
    duplicate = make_copy(node)
    assert type(duplicate) is Node
    assert duplicate != node
    assert (duplicate.name, duplicate.addr) == ("a", ":1080")


@each_copy
def test_a_failure_of_a_copy_counts_for_the_node_and_the_other_way_round(
    make_copy: Callable[[Node], Node],
) -> None:
    node = Node("a", "")
    node.marker().mark()
    duplicate = make_copy(node)
    duplicate.marker().mark()
    assert node.marker().count() == duplicate.marker().count() == 2
    node.marker().reset()
    assert duplicate.marker().count() == 0


@each_copy
def test_a_copy_has_the_value_of_each_option_itself(make_copy: Callable[[Node], Node]) -> None:
    node = Node("a", "")
    values = {field.name: object() for field in fields(NodeOptions)}
    for name, value in values.items():
        setattr(node.options(), name, value)
    duplicate = make_copy(node)
    for name, value in values.items():
        assert getattr(duplicate.options(), name) is value


@each_copy
def test_the_options_of_a_copy_may_be_changed_without_those_of_the_node(
    make_copy: Callable[[Node], Node],
) -> None:
    node = Node("a", "", priority_node_option(1))
    duplicate = make_copy(node)
    duplicate.options().priority = 2
    assert node.options().priority == 1
    node.options().priority = 3
    assert duplicate.options().priority == 2


@each_copy
def test_a_copy_has_the_probe_result_of_its_moment(make_copy: Callable[[Node], Node]) -> None:
    node = Node("a", "")
    first, second, third = (ProbeResult(latency=n) for n in (1.0, 2.0, 3.0))
    node.set_probe_result(first)
    duplicate = make_copy(node)
    assert duplicate.probe_result() is first
    node.set_probe_result(second)
    assert duplicate.probe_result() is first
    duplicate.set_probe_result(third)
    assert node.probe_result() is second


@each_copy
def test_closing_a_copy_leaves_the_probe_of_the_node_running(
    make_copy: Callable[[Node], Node],
) -> None:
    node, probe = Node("a", ""), Probe()
    node.set_probe_cancel(probe.stop)
    make_copy(node).close()
    assert probe.stops == 0
    node.close()
    assert probe.stops == 1


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickle.dumps])
def test_a_node_is_not_duplicated_with_a_marker_that_would_count_apart(
    duplicate: Callable[[object], object],
) -> None:
    with pytest.raises(TypeError, match=r"'a'.*counted apart.*copy\(\)"):
        duplicate(Node("a", ""))


# ---- Probes


def test_closing_stops_the_probe_once() -> None:
    node, probe = Node("a", ""), Probe()
    node.set_probe_cancel(probe.stop)
    node.close()
    node.close()
    assert probe.stops == 1


def test_a_node_without_a_probe_can_be_closed() -> None:
    Node("a", "").close()


def test_a_closed_node_stays_usable_with_its_last_result() -> None:
    node, probe = Node("a", "", priority_node_option(1)), Probe()
    result = ProbeResult(success=True)
    node.set_probe_cancel(Probe().stop)
    node.set_probe_result(result)
    node.close()
    assert node.probe_result() is result
    assert node.options().priority == 1
    node.set_probe_cancel(probe.stop)
    node.close()
    assert probe.stops == 1


def test_a_new_probe_stops_the_one_that_ran_before() -> None:
    node, former, later = Node("a", ""), Probe(), Probe()
    node.set_probe_cancel(former.stop)
    node.set_probe_cancel(later.stop)
    assert (former.stops, later.stops) == (1, 0)
    node.close()
    assert (former.stops, later.stops) == (1, 1)


def test_a_probe_that_is_set_again_goes_on() -> None:
    node, probe = Node("a", ""), Probe()
    node.set_probe_cancel(probe.stop)
    node.set_probe_cancel(probe.stop)
    assert probe.stops == 0
    node.close()
    assert probe.stops == 1


def test_a_new_probe_is_stopped_by_closing_though_the_former_could_not_be() -> None:
    def fail() -> None:
        raise RuntimeError("Event loop is closed")

    node, probe = Node("a", ""), Probe()
    node.set_probe_cancel(fail)
    with pytest.raises(RuntimeError):
        node.set_probe_cancel(probe.stop)
    node.close()
    assert probe.stops == 1


def test_a_probe_that_has_ended_is_not_stopped() -> None:
    node, probe = Node("a", ""), Probe()
    node.set_probe_cancel(probe.stop)
    node.set_probe_cancel(None)
    node.close()
    assert probe.stops == 0


def test_a_probe_may_close_the_node_while_it_is_stopped() -> None:
    node = Node("a", "")
    stops = list[str]()

    def stop() -> None:
        stops.append("stopped")
        node.close()

    node.set_probe_cancel(stop)
    node.close()
    assert stops == ["stopped"]


def test_closing_cancels_a_task_that_probes() -> None:
    async def probe() -> bool:
        node = Node("a", "")
        task = asyncio.create_task(asyncio.Event().wait())
        node.set_probe_cancel(task.cancel)
        await asyncio.sleep(0)
        node.close()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(probe())


def test_a_node_has_no_attribute_that_is_misspelt() -> None:
    with pytest.raises(AttributeError):
        untyped(Node("a", "")).adress = ":1080"
