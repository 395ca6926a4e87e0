"""Real C and Python programs with libtrimalloc.so preloaded."""
