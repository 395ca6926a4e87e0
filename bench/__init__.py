"""Benchmarks of trimalloc beside other allocators; see README.md for what each row is."""
