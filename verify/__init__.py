"""THAT it works, in a named arithmetic, on a named device: forward pass, evidence, verdicts, the command line."""
