"""Python programs that are measured as wholes, each in a process of its own."""
