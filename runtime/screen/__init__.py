"""The main job, `python -m runtime.screen SOURCE`: frames in, readings, pictures and a summary out."""
