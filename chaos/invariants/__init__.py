"""What must hold whatever happens; a module for each, in the words of `chaos.findings.Invariant`."""
