"""Tests of the trimalloc command."""
