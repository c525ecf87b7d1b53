"""Trials of the contracts of listeners."""

from tests.kit.listener._local import local
from tests.kit.listener._reverse import reverse

trials = (local, reverse)
