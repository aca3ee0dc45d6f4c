"""What a rollout is and what it does next. Pure: no I/O, no clock."""
