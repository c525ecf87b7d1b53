"""Lines of a route table."""

import copy
import dataclasses
import pickle
import warnings
from ipaddress import ip_network

import pytest

from gost_core.router import Route
from tests.contract.untyped import untyped

NETWORK = ip_network("192.0.2.0/24")


def test_a_route_holds_what_it_was_given_and_nothing_besides() -> None:
    route = Route(dst="192.0.2.0/24", gateway="one")
    assert (route.net, route.dst, route.gateway) == (None, "192.0.2.0/24", "one")
    assert Route() == Route(dst="", gateway="")


def test_the_network_is_still_taken_and_read_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        route: Route = untyped(Route)(net=NETWORK, gateway="one")
    assert route.net == NETWORK


def test_it_is_a_frozen_struct_though_it_has_a_constructor_of_its_own() -> None:
    route = Route(dst="a", gateway="one")
    for duplicate in (copy.copy(route), copy.deepcopy(route), pickle.loads(pickle.dumps(route))):
        assert duplicate == route
        assert hash(duplicate) == hash(route)
    assert dataclasses.replace(route, gateway="two") == Route(dst="a", gateway="two")
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(route, "dst", "b")  # noqa: B010 - an assignment is what checkers refuse
