"""What stands in the way of a release: what was read of a cluster in, findings with their cure out. Pure."""
