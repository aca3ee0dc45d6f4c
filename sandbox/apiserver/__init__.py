"""A Kubernetes API server small enough to start in a second, and honest enough to test against."""
