"""pyperformance's benchmarks, run one by one in processes of their own."""
