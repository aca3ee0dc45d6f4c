"""Gloo's translation, as small as it can honestly be: objects in, Envoy's configuration and statuses out."""
