"""Constructions in TransformerLens: every activation can be read, and be another one, while a response is made.

It needs the extra ``lens``, which is imported when it is first used.
"""

from verify.lens.bridge import embedded as embedded
from verify.lens.bridge import to_transformer_lens as to_transformer_lens
