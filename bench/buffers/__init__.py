"""Buffers that are reused: pools beside queues and bytearrays, NumPy's arrays by allocator."""
