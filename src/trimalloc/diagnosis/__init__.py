"""Finding out whether a process is on trimalloc, how far, and what it cannot reach."""
