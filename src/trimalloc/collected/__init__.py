"""The collected heap: compact linked records, freed by a collector of their own."""
