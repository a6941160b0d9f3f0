"""Attention under a prefix: the identities of sections 4 and 6 on any attention layer, in any arithmetic."""

from verify.prefixes.draw import Case as Case
from verify.prefixes.draw import draw_case as draw_case
from verify.prefixes.error_bounds import bias_bound as bias_bound
from verify.prefixes.error_bounds import rescaling_bounds as rescaling_bounds
from verify.prefixes.error_bounds import second_layer_bound as second_layer_bound
from verify.prefixes.layer import AttentionLayer as AttentionLayer
from verify.prefixes.layer import plain_head as plain_head
from verify.prefixes.layer_verdicts import check_layer as check_layer
from verify.prefixes.layer_verdicts import fuzz_layers as fuzz_layers
from verify.prefixes.measured import IDENTITIES as IDENTITIES
from verify.prefixes.measured import deviations as deviations
from verify.prefixes.passes import Passes as Passes
from verify.prefixes.passes import attend as attend
