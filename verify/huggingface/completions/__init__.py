"""Hard prompts against soft ones on any causal language model, counted: single tokens, and trained virtual tokens."""

from __future__ import annotations

from verify.huggingface.completions.counting import Alone as Alone
from verify.huggingface.completions.counting import Counted as Counted
from verify.huggingface.completions.hard import hard_completions as hard_completions
from verify.huggingface.completions.soft import soft_completions as soft_completions
from verify.huggingface.completions.training import Training as Training
