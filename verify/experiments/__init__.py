"""The paper's experiments on trained models, each one command; the extra ``experiments`` has what they need.

A new experiment is a class in a file of its own in ``verify/experiments/known``, and a line there.
"""

from __future__ import annotations

from verify.experiments.base import Check as Check
from verify.experiments.base import Experiment as Experiment
from verify.experiments.known import EXPERIMENTS as EXPERIMENTS
from verify.experiments.loop import NotFiniteError as NotFiniteError
from verify.experiments.running import run_experiment as run_experiment
