"""Trials of the contracts of transporters, routes, chainers, routers and of what is probed."""

from tests.kit.chain import _chainer, _probe_result_reader, _route, _router, _transporter

trials = (
    _chainer.trial,
    _probe_result_reader.trial,
    _route.trial,
    _router.trial,
    _transporter.trial,
)
