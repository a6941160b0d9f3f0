"""The one forward pass, greedy generation, and cases that run one by one or in batches."""
