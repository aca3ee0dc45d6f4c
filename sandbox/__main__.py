"""`python -m sandbox` is `crossfade sandbox`."""

from sandbox.cli import app


app(prog_name="crossfade sandbox")
