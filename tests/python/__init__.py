"""Tests of the Python package; the directories mirror src/trimalloc."""
