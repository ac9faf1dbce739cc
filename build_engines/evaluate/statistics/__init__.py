"""The statistics of an evaluation, in numpy alone; tests hold each to scipy, scikit-learn or statsmodels."""
