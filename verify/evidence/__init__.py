"""Evidence from running a construction: cases, verdicts, counterexamples."""
