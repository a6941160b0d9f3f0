"""Stock Hugging Face models: constructions as models of its classes, and any causal language model, looked at."""
