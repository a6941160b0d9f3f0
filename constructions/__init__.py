"""WHAT is built: exact weights of hand-built transformers, written once, for symbolic sizes.

Tokens and positions are 0-based throughout; the paper (Petrov, Torr, Bibi, ICLR 2024) counts from 1, so its token
``y`` is ``y - 1`` here.
"""

from constructions.conditional_generation import ConditionalGeneration as ConditionalGeneration
from constructions.construction import Construction as Construction
from constructions.construction import Layout as Layout
from constructions.decoding import Argmax as Argmax
from constructions.decoding import Argmin as Argmin
from constructions.decoding import Decoding as Decoding
from constructions.decoding import Number as Number
from constructions.digit_generation import DigitGeneration as DigitGeneration
from constructions.digit_generation import fewest_digits as fewest_digits
from constructions.digit_generation import largest_exact_base as largest_exact_base
from constructions.domain import Domain as Domain
from constructions.encodings import Coding as Coding
from constructions.encodings import largest_band_size as largest_band_size
from constructions.encodings import largest_exact_vocabulary as largest_exact_vocabulary
from constructions.exact_matrix import ExactMatrix as ExactMatrix
from constructions.expressions import UnitRow as UnitRow
from constructions.formats import FORMATS as FORMATS
from constructions.formats import Format as Format
from constructions.formats import get_format as get_format
from constructions.formats import round_to_format as round_to_format
from constructions.hand_built import HandBuilt as HandBuilt
from constructions.longer_inputs import LongerInputs as LongerInputs
from constructions.longer_responses import LongerResponses as LongerResponses
from constructions.lowering import lower as lower
from constructions.ratios import Ratios as Ratios
from constructions.selecting import SelectingConstruction as SelectingConstruction
from constructions.selection import selection_mlp as selection_mlp
from constructions.specification import Reads as Reads
from constructions.specification import Specification as Specification
from constructions.specifying import specify as specify
from constructions.stream import Stream as Stream
from constructions.targets import TargetSpace as TargetSpace
from constructions.temperature import Hardmax as Hardmax
from constructions.temperature import PerHeadSoftmax as PerHeadSoftmax
from constructions.temperature import RationalSoftmax as RationalSoftmax
from constructions.temperature import Softmax as Softmax
from constructions.temperature import Temperature as Temperature
from constructions.temperature import Temperatures as Temperatures
from constructions.temperature import one_hot_gap as one_hot_gap
from constructions.text import CharacterVocabulary as CharacterVocabulary
from constructions.token_functions import at_least as at_least
from constructions.token_functions import equals as equals
from constructions.token_functions import look_up as look_up
from constructions.token_functions import one_hot as one_hot
from constructions.token_functions import select as select
from constructions.transformer import Attention as Attention
from constructions.transformer import Head as Head
from constructions.transformer import Linear as Linear
from constructions.transformer import Transformer as Transformer
from constructions.unconditional_generation import UnconditionalGeneration as UnconditionalGeneration
from constructions.unknown_tokens import UnknownTokens as UnknownTokens
from constructions.validation import InvalidArgument as InvalidArgument
