"""Is the candidate harming users? Counts in, verdict out."""
