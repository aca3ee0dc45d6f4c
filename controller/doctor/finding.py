"""One thing that the doctor found, and what would put it right, as a value that can be printed or tried."""

import enum
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml


Json = Mapping[str, Any]


class Severity(enum.StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    """To know; nothing has to be done."""
    WARNING = "warning"
    """Releases work, and are less safe or less useful than they could be."""
    PROBLEM = "problem"
    """A release would be held, or would reach users whom it should not."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A change of one object."""

    resource: str
    """As kubectl takes it: `upstreams.gloo.solo.io`."""
    namespace: str
    name: str
    body: Json | Sequence[Json]
    """A mapping is a merge patch, a sequence a JSON Patch."""

    @property
    def command(self) -> str:
        """Give the shell command that carries it out."""
        merge = isinstance(self.body, Mapping)
        body = shlex.quote(json.dumps(self.body if merge else list(self.body)))
        where = f"{shlex.quote(self.resource)} {shlex.quote(self.name)} -n {shlex.quote(self.namespace)}"
        return f"kubectl patch {where} --type={'merge' if merge else 'json'} -p {body}"


@dataclass(frozen=True, slots=True)
class Apply:
    """Objects to be created, or completed."""

    documents: tuple[Json, ...]

    @property
    def command(self) -> str:
        """Give the shell command that carries it out."""
        return f"kubectl apply -f - <<'EOF'\n{written(*self.documents)}EOF"


@dataclass(frozen=True, slots=True)
class Command:
    """A command that exists already."""

    command: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a file of the user's, which nobody else is to write into."""

    file: str
    content: Json
    """The part of the document that should be so; a merge patch."""

    @property
    def command(self) -> str:
        """Give what is to be written, as the comment of a shell script."""
        lines = f"in {self.file}:\n{written(self.content)}".splitlines()
        return "\n".join(f"# {line}" for line in lines)


Fix = Patch | Apply | Command | Edit


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one object, and its cure."""

    check: str
    """Which check found it; stable from release to release, like `subset-keys`."""
    severity: Severity
    about: str
    """The object: `Upstream gloo-system/echo`."""
    words: str
    """The field, what was found, and what would be right."""
    fix: Fix | None = None
    effect: str = ""
    """What else the fix changes, or when it must not be used."""

    @property
    def sentence(self) -> str:
        """Give everything but the fix, on one line."""
        return one_line(f"{self.about}: {self.words}")


def written(*documents: Json) -> str:
    """Write documents as YAML."""
    return yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=1000)


def one_line(text: str) -> str:
    """Put words on one line, without what could play tricks on a terminal or in a shell script."""
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))
