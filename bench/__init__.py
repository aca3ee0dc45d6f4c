"""What Crossfade costs and how quickly it goes back: counts and ratios, on the sandbox.

The harness is that of the end-to-end tests, which assert the same counts.
"""

import sys
from pathlib import Path


sys.path.append(str(Path(__file__).parent.parent / "tests" / "support"))
