"""A rollout on simulated traffic, by the very code that decides real ones. Pure: seeded, no I/O, no clock."""
