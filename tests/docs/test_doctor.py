"""Every check of the doctor is explained, and none that does not exist."""

import re
from pathlib import Path

from controller import doctor
from controller.doctor.finding import Severity


ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "doctor.md").read_text()
CODE = [*Path(doctor.__path__[0]).glob("*.py"), ROOT / "controller" / "cli" / "doctor.py"]
NAMED = re.compile(r'Finding\(\s*"([a-z-]+)"|check = "([a-z-]+)"|else "([a-z]+-(?:crd|rights))"')


def test_every_check_is_in_the_table() -> None:
    found = {name for path in CODE for names in NAMED.findall(path.read_text()) for name in names if name}
    rows = re.findall(
        r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| [a-zA-Z]", PAGE.split("## What it looks at")[1], re.MULTILINE
    )
    explained = {name for row in rows for name in re.findall(r"[a-z-]+", row)}
    fields = {"section", "check", "severity", "about", "message", "fix", "effect"}
    assert found == explained - fields


def test_every_severity_is_explained() -> None:
    assert set(
        re.findall(r"^\| `([a-z]+)` \|", PAGE.partition("## What it looks at")[0], re.MULTILINE)
    ) == set(Severity)
