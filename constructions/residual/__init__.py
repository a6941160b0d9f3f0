"""The theorems inside language models as they are: a residual stream, norms, smooth activations."""

from constructions.residual.architectures import ARCHITECTURES as ARCHITECTURES
from constructions.residual.architectures import Architecture as Architecture
from constructions.residual.base import ResidualConstruction as ResidualConstruction
from constructions.residual.conditional import ResidualConditional as ResidualConditional
from constructions.residual.generation import ResidualGeneration as ResidualGeneration
