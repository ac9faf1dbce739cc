"""A bundle as a model repository for Triton Inference Server: `python -m build_engines triton`."""
