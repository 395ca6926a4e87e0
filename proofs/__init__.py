"""Models of what the engine's threads do with each other. `python -m proofs` checks all."""
