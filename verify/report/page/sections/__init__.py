"""The sections of the page, one file for each."""

from __future__ import annotations

from constructions.registry import Registry
from verify.report.page.sections.attention import Attention
from verify.report.page.sections.base import Section as Section
from verify.report.page.sections.bugs import Bugs
from verify.report.page.sections.claims import Claims
from verify.report.page.sections.devices import Devices
from verify.report.page.sections.experiments import Experiments
from verify.report.page.sections.exponentials import Exponentials
from verify.report.page.sections.frontier import FrontierSection
from verify.report.page.sections.readout import Readout
from verify.report.page.sections.sources import Sources
from verify.report.page.sections.summary import Summary
from verify.report.page.sections.theorems import Theorems
from verify.report.page.sections.trust import Trust

#: The sections in their order on the page. A new one is registered here.
SECTIONS: Registry[type[Section]] = Registry(
    "section",
    (
        Summary,
        Claims,
        Theorems,
        FrontierSection,
        Readout,
        Attention,
        Experiments,
        Exponentials,
        Devices,
        Bugs,
        Trust,
        Sources,
    ),
    name=lambda section: section.name,
)
