"""The main job: every claim, by the kinds of evidence that its plan names."""
