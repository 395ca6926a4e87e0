"""Tests of how trimalloc finds out whether it is in use."""
