"""Lets everything go wrong at once, and judges what Crossfade made of it."""
