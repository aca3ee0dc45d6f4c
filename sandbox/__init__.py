"""A cluster that starts in seconds: real Envoy, Prometheus and kubectl, stand-ins for the rest."""
