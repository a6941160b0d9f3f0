"""Attention of language models under a prefix: what they compute is recorded, and held to computed bounds."""
