"""The steps of the evidence of a device, one file for each."""

from __future__ import annotations

from constructions.registry import Registry
from verify.device.base import Step
from verify.device.steps.attention import Attention
from verify.device.steps.batches import Batches
from verify.device.steps.certificates import Certificates
from verify.device.steps.compiled import CompiledPrograms
from verify.device.steps.exp import Exponentials
from verify.device.steps.facts import Facts
from verify.device.steps.graphs import Graphs
from verify.device.steps.instructions import Instructions
from verify.device.steps.matrix_unit import UnitOfDevice
from verify.device.steps.throughput import Throughput
from verify.device.steps.verdicts import Verdicts

#: Every step by its name, in the order in which they run. A new one is registered here.
STEPS: Registry[Step] = Registry(
    "step",
    (
        Facts(),
        Verdicts(),
        Attention(),
        Graphs(),
        Instructions(),
        UnitOfDevice(),
        Batches(),
        Certificates(),
        Exponentials(),
        Throughput(),
        CompiledPrograms(),  # the compilers take longest, and are missed least
    ),
    name=lambda step: step.name,
)
