"""Tokenizers of real language models, from files that a package or a folder has: nothing is downloaded."""

from verify.tokenizers.base import Tokenizer as Tokenizer
from verify.tokenizers.registry import TOKENIZERS as TOKENIZERS
from verify.tokenizers.registry import get_tokenizer as get_tokenizer
