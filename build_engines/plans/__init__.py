"""Plans: a bundle's graphs compiled for NVIDIA GPUs, by TensorRT or TensorRT-RTX."""
