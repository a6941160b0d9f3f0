"""The command ``prefixproof``; what it does is in the packages ``constructions``, ``proofs`` and ``verify``."""
