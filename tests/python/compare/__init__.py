"""Tests of ``trimalloc compare``."""
