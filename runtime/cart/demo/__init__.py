"""The cart on simulated parts: camera, light board, worklist and archive, all in one process."""
