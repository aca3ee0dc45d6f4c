"""The only importer of `kubernetes`: requests, watches, and the objects that a tick works on."""
