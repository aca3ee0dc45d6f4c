"""The only place that knows Gloo's documents: pure readings and patches of them, and one client."""
