"""Mutants of the certifier: one change of its source each, killed by named killers or proved harmless."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant
from tests.mutation.certifier_mutants_of_bands import BANDS
from tests.mutation.certifier_mutants_of_cells import CELLS
from tests.mutation.certifier_mutants_of_digits import DIGITS
from tests.mutation.certifier_mutants_of_factors import FACTORS
from tests.mutation.certifier_mutants_of_factors_aimed import AIMED
from tests.mutation.certifier_mutants_of_layers import LAYERS
from tests.mutation.certifier_mutants_of_margins import MARGINS
from tests.mutation.certifier_mutants_of_operations import OPERATIONS
from tests.mutation.certifier_mutants_of_relations import RELATIONS
from tests.mutation.certifier_mutants_of_repeated import REPEATED
from tests.mutation.certifier_mutants_of_sharing import SHARING
from tests.mutation.certifier_mutants_of_sums import SUMS
from tests.mutation.certifier_mutants_of_symmetry import SYMMETRY
from tests.mutation.certifier_mutants_of_units import UNITS
from tests.mutation.certifier_mutants_settled_later import SETTLED

MUTANTS: tuple[Mutant, ...] = (
    *SUMS,
    *OPERATIONS,
    *LAYERS,
    *MARGINS,
    *CELLS,
    *SETTLED,
    *RELATIONS,
    *FACTORS,
    *AIMED,
    *REPEATED,
    *UNITS,
    *SHARING,
    *BANDS,
    *DIGITS,
    *SYMMETRY,
)
