"""Every trial of the checks, one module a topic."""

from typing import Any

from tests.kit import (
    access,
    chains,
    connectors,
    dialers,
    directory,
    handlers,
    hops,
    limiters,
    listeners,
    logging_and_metrics,
    metadata,
    names,
    net,
    observation,
    registries,
    selectors,
    services,
)
from tests.kit.trial import Fault, Trial

TRIALS: tuple[Trial[Any], ...] = (
    *access.trials,
    *chains.trials,
    *connectors.trials,
    *dialers.trials,
    *directory.trials,
    *handlers.trials,
    *hops.trials,
    *limiters.trials,
    *listeners.trials,
    *logging_and_metrics.trials,
    *metadata.trials,
    *names.trials,
    *net.trials,
    *observation.trials,
    *registries.trials,
    *selectors.trials,
    *services.trials,
)

FAULTS: tuple[Fault, ...] = tuple(fault for trial in TRIALS for fault in trial.faults)

__all__ = ("FAULTS", "TRIALS", "Fault", "Trial")
