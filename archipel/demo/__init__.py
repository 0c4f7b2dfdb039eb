"""A federation on one machine: real processes, real certificates, made-up data. For the demo, tests and benchmarks."""
