"""The latency benchmark, `python -m runtime.bench`: loads, verdict, and reports that can be held against each other."""
