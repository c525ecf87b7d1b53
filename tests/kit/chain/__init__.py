"""Trials of the contracts of transporters, routes, chains and groups, routers, and of probes."""

from tests.kit.chain import _chainer, _group, _probe_result_reader, _route, _router, _transporter

trials = (
    _chainer.trial,
    _group.trial,
    _probe_result_reader.trial,
    _route.trial,
    _router.trial,
    _transporter.trial,
)
