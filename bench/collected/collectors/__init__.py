"""Collectors at work beside each other: ours, Go's, CPython's."""
