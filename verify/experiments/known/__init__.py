"""The experiments, one file for each."""

from __future__ import annotations

from constructions.registry import Registry
from verify.experiments.base import Experiment
from verify.experiments.known.composed import Composed
from verify.experiments.known.equal_parameters import EqualParameters
from verify.experiments.known.four_tasks import FourTasks
from verify.experiments.known.hard_and_soft import HardAndSoft
from verify.experiments.known.long_prefix import LongPrefix
from verify.experiments.known.sorting import Sorting

#: Every experiment by its name. A new one is registered here.
EXPERIMENTS: Registry[Experiment] = Registry(
    "experiment",
    (Sorting(), FourTasks(), Composed(), EqualParameters(), HardAndSoft(), LongPrefix()),
    name=lambda experiment: experiment.name,
)
