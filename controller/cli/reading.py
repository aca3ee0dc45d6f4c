"""A Canary as a reader sees it: the document, what it asks for, and where it stands. Pure."""

import enum
from dataclasses import dataclass

from config.canary import CanarySpec
from config.load import load_spec
from config.problems import Problem, SpecError
from config.status import Outcome, Phase, Status, load_status
from config.written import UNKNOWN_PRESET
from controller.kube.resources import Document
from controller.ports import Key
from controller.rollout.phase import AT_REST


_TEMPLATE = ".templateRef.name"


def _for_the_controller(problem: Problem) -> bool:
    """Tell whether this is a problem only to whoever knows neither MetricTemplates nor settings."""
    return problem.path.endswith(_TEMPLATE) or problem.message.startswith(UNKNOWN_PRESET)


class ExitCode(enum.IntEnum):
    """What `crossfade` says to the shell."""

    OK = 0
    """Promoted, or nothing to do."""
    ERROR = 1
    """Wrong usage, or the cluster did not do what was asked."""
    ROLLED_BACK = 2
    UNFINISHED = 3
    """Still under way; with --watch: when --timeout was over."""
    NEEDS_HUMAN = 4
    """Held, and waiting alone will not end it."""
    INVALID = 5
    """The spec cannot be used."""


@dataclass(frozen=True, slots=True)
class Canary:
    """One Canary, read once."""

    key: Key
    document: Document
    spec: CanarySpec | None
    """None if it is not valid, or if its templates or presets are not known."""
    problem: str
    """Why it is not."""
    status: Status

    @property
    def metadata(self) -> Document:
        """Give name, annotations and the like."""
        metadata: Document = self.document["metadata"]
        return metadata

    @property
    def at_rest(self) -> bool:
        """No rollout is under way."""
        return self.status.phase in AT_REST or (
            self.status.phase is Phase.PREPARING and self.status.candidate is None
        )

    @property
    def sentence(self) -> str:
        """Say why it stands where it stands."""
        if self.problem:
            return f"invalid: {self.problem}"
        return self.status.reason or "no controller has looked at it yet"


def canary_of(document: Document) -> Canary:
    """Read a Canary's document; junk in it shows as a problem, never as an error.

    Whether its MetricTemplates and the platform's presets exist is for the controller to find out and report.
    """
    metadata = document["metadata"]
    status = load_status(_printable(document.get("status")))
    spec, problem = None, ""
    try:
        spec = load_spec(document.get("spec"))
    except SpecError as error:
        problem = "; ".join(str(each) for each in error.errors if not _for_the_controller(each))
        spec = None if problem else _in_force(status)
    return Canary(Key(metadata["namespace"], metadata["name"]), document, spec, problem, status)


def _in_force(status: Status) -> CanarySpec | None:
    """Give the spec of the rollout under way, with its templates written out."""
    try:
        return None if status.observed_spec is None else load_spec(status.observed_spec)
    except SpecError:
        return None


def printable(text: str) -> str:
    """Take away what could play tricks on a terminal: others write into a status too."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _printable(value: object) -> object:
    match value:
        case str():
            return printable(value)
        case dict():
            return {name: _printable(item) for name, item in value.items()}
        case list():
            return [_printable(item) for item in value]
        case _:
            return value


def exit_code(canary: Canary, release: str | None = None) -> ExitCode:
    """Say how a rollout ended, or what it waits for.

    Args:
        release: The version that is meant, which the controller may not have noticed yet;
            None: whichever the Canary is at.

    """
    status = canary.status
    if canary.problem:
        return ExitCode.INVALID
    if release is not None and not _is_at(canary, release):
        return _past(status, release)
    if status.held is not None and status.held.needs_human:
        return ExitCode.NEEDS_HUMAN
    if status.observed_generation != canary.metadata.get("generation", 0):
        return ExitCode.UNFINISHED
    match status.phase:
        case Phase.ROLLED_BACK if not status.history or status.history[0].outcome is not Outcome.SUPERSEDED:
            return ExitCode.ROLLED_BACK
        case Phase.PROMOTED | Phase.IDLE if _serves_what_was_asked(canary):
            return ExitCode.OK
        case _:
            return ExitCode.UNFINISHED


def _is_at(canary: Canary, release: str) -> bool:
    candidate = canary.status.candidate
    return not canary.at_rest and candidate is not None and candidate.version == release


def _past(status: Status, release: str) -> ExitCode:
    """Say how a version's release ended that is not under way now; UNFINISHED if nobody has noticed it."""
    if status.stable is not None and status.stable.version == release:
        return ExitCode.OK
    tried = any(entry.revision.version == release for entry in status.history)
    return ExitCode.ROLLED_BACK if tried else ExitCode.UNFINISHED


def _serves_what_was_asked(canary: Canary) -> bool:
    asked = canary.spec.workload.version if canary.spec else None
    return asked is None or (canary.status.stable is not None and canary.status.stable.version == asked)
