"""The settings file: what the environment can say, by the same names in camelCase, with lines to point at.

It may hold credentials, so no message shows a value that stands under a name of a secret.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_camel

from config.documents import NotPlainError, Plain, documents, placed
from config.problems import Fault, Problem, SpecError, found, unknown_field


_VALUES = re.compile(r"(undefined alias|found the tag) [^;]*| with value .*", re.DOTALL)
"""What a message about YAML repeats of it: both values of a key, and what begins with * or !."""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file that was read; its values are not validated yet."""

    path: str
    values: Mapping[str, Any]
    """By the names of the settings, prometheus_url; what is empty or null is left out."""
    marked: object
    """The document with its places."""

    def place(self, name: str) -> str:
        """Give `settings.yaml:3` for a setting of this file."""
        line = placed(Fault((to_camel(name),), ""), self.marked).line
        return self.path if line is None else f"{self.path}:{line}"

    def told(self, name: str, message: str, *inside: str | int) -> str:
        """Say what is wrong with a setting, or inside of it, as `settings.yaml:3:1: workers: found ...`."""
        return _told(self.path, placed(Fault((to_camel(name), *inside), message), self.marked))


NO_FILE = SettingsFile("", {}, None)


class SettingsFileError(ValueError):
    """A file that cannot be used; the message begins with its path, and names every fault."""


def read_settings_file(path: str, names: Collection[str]) -> SettingsFile:
    """Read one YAML document whose fields are among `names`, in camelCase.

    Raises:
        SettingsFileError: there is no such file, it is not such a document, or it has unknown fields.

    """
    marked = _document(path)
    try:
        plain = {} if marked is None else Plain().of(marked, ())
    except NotPlainError as error:
        raise SettingsFileError(_told(path, placed(error.fault, marked))) from None
    if not isinstance(plain, dict):
        what = "found text" if isinstance(plain, str) else found(plain)
        raise SettingsFileError(f"{path}: {what}; settings look like prometheusUrl: http://...")
    known = {to_camel(name): name for name in names}
    faults = [Fault((key,), unknown_field(key, tuple(known))) for key in plain if key not in known]
    if faults:
        raise SettingsFileError("; ".join(_told(path, placed(fault, marked)) for fault in faults))
    values = {known[key]: value for key, value in plain.items() if value is not None and value != ""}
    return SettingsFile(path, values, marked)


def _document(path: str) -> object:
    try:
        read = list(documents(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsFileError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingsFileError(f"{path}: not a text in UTF-8") from error
    except SpecError as error:
        raise SettingsFileError("; ".join(_told(path, problem) for problem in error.errors)) from None
    if len(read) > 1:
        raise SettingsFileError(f"{path}: found {len(read)} documents; one is needed")
    return read[0] if read else None


def _told(path: str, problem: Problem) -> str:
    text = _VALUES.sub(r"\1", str(problem))
    return f"{path}:{text}" if problem.line is not None else f"{path}: {text}"
