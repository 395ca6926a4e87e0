"""The engine's own tests: C++ programs, and what can be seen from the built library."""
