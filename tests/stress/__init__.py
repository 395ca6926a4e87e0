"""Long storms of threads, forks and random operations; run by make stress."""
