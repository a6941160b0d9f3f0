"""The command line ``prefixproof``."""
