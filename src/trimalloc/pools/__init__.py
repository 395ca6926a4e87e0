"""Pools of equal blocks that are reused: buffers for sockets, files and arrays."""
