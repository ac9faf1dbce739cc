"""A bundle's test of what is a fundus as its networks know it: fitted on frames of each camera."""
