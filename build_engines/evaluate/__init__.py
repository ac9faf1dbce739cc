"""Evaluation: a bundle as it is deployed, held against the truth of a table, by frame, eye and infant."""
