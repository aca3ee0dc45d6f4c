"""Writes docs/reference from the code: what a page says of a field is what the program knows of it.

    .venv/bin/python scripts/reference.py

A test compares the pages with what this would write.
"""  # noqa: INP001  # a script

import ast
import datetime as dt
import enum
import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import typer
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from config.crd import definition, template_definition
from config.quantities import format_duration
from config.settings import PREFIX, Settings
from config.status import HeldReason, Phase, Status, Verdict
from controller import report
from controller.cli import program
from controller.cli.reading import ExitCode
from controller.ports import Free
from controller.telemetry import metrics
from controller.telemetry.line import LineCollector
from sandbox import cli as sandbox


FOLDER = Path(__file__).parents[1] / "docs" / "reference"
MADE = "<!-- Written by scripts/reference.py; change the code that it describes. -->"

Schema = Mapping[str, Any]


def pages() -> dict[str, str]:
    """Give every page of the reference by its file name."""
    return {
        "canary.md": _resource(
            definition(), "Canary", "[The Canary](../canary.md) explains its fields in context."
        ),
        "metrictemplate.md": _resource(
            template_definition(),
            "MetricTemplate",
            "[Metrics](../canary.md#metrics) shows one, and the metric that takes it.",
        ),
        "settings.md": _settings(),
        "cli.md": _command_line(),
        "metrics.md": _metrics(),
        "messages.md": _messages(),
    }


def _page(title: str, *lines: str) -> str:
    return "\n".join([MADE, "", f"# {title}", "", *lines]).rstrip() + "\n"


def _table(columns: Sequence[str], rows: Iterator[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(columns), "|" + "---|" * len(columns), *map(line, rows), ""]


# --- resources


def _resource(crd: Schema, kind: str, more: str) -> str:
    """Describe a custom resource: a section for each field of its spec, then its status."""
    names, (version,) = crd["spec"]["names"], crd["spec"]["versions"]
    parts = version["schema"]["openAPIV3Schema"]["properties"]
    short = ", ".join(f"`{name}`" for name in names.get("shortNames", ()))
    lines = [
        f"`{crd['spec']['group']}/{version['name']}`, kind `{kind}`, namespaced, short name {short}. {more}",
        "",
        f"`kubectl explain {names['singular']}.spec --recursive` says the same in a terminal.",
        "A field that is not listed is refused.",
        "",
    ]
    spec = parts["spec"]
    lines += [*_rules(spec)]
    plain = {name: field for name, field in spec["properties"].items() if not _inside(field)}
    if plain:
        lines += ["## spec", "", *_fields({"spec": {**spec, "properties": plain}})]
    for name, field in spec["properties"].items():
        if name not in plain:
            needed = " Required." if name in spec.get("required", ()) else ""
            lines += [f"## spec.{name}", "", f"{_prose(field.get('description', ''))}{needed}", ""]
            lines += [*_rules(_inside(field)), *_fields({f"spec.{name}": field})]
    if "status" in parts:
        lines += ["## status", "", "Written by the controller; what is at its default is left out.", ""]
        lines += _fields({"status": parts["status"]}, deep=False)
    return _page(kind, *lines)


def _inside(field: Schema) -> Schema:
    """Give what has the fields: the object itself, or the items of a list of objects."""
    found: Schema = field.get("items", field)
    return found if "properties" in found else {}


def _rules(schema: Schema) -> Iterator[str]:
    rules = [rule["message"] for rule in schema.get("x-kubernetes-validations", ())]
    yield from ["What goes together:", ""] if rules else []
    yield from (f"- {_prose(message)}" for message in rules)
    if rules:
        yield ""


def _fields(roots: Mapping[str, Schema], *, deep: bool = True) -> list[str]:
    rows = (row for path, schema in roots.items() for row in _rows(path, schema, deep=deep))
    return _table(("field", "type", "default", "meaning"), rows)


def _rows(path: str, schema: Schema, *, deep: bool) -> Iterator[Sequence[str]]:
    holder = _inside(schema)
    base = path + ("[]" if holder is not schema else "")
    for name, field in holder.get("properties", {}).items():
        here = f"{base}.{name}"
        needed = name in holder.get("required", ())
        yield (
            f"`{here.removeprefix('spec.').removeprefix('status.')}`",
            _type(field),
            "required" if needed else _default(field.get("default")),
            _prose(field.get("description", "")),
        )
        if deep:
            yield from _rows(here, field, deep=True)


def _type(field: Schema) -> str:
    kind: str
    match field:
        case {"enum": values}:
            kind = ", ".join(_default(value) for value in values)
        case {"x-kubernetes-int-or-string": True}:
            kind = "number or text"
        case {"type": "string", "pattern": pattern} if "ms|s|m|h|d" in pattern:
            kind = "duration"
        case {"type": "array", "items": items}:
            kind = f"list of {_type(items)}"
        case {"type": "object", "additionalProperties": dict() as values}:
            kind = f"map of {_type(values)}"
        case {"type": name}:
            kind = {"string": "text", "boolean": "`true`, `false`"}.get(name, str(name))
        case _:
            kind = "any"
    return kind + _range(field)


def _range(field: Schema) -> str:
    """Say what is accepted: `1 to 100`, `at least 1`."""
    least, most = field.get("minimum"), field.get("maximum")
    above = "more than" if field.get("exclusiveMinimum") else "at least"
    match least, most:
        case None, None:
            return ""
        case least, None:
            return f", {above} {least:g}"
        case None, most:
            return f", at most {most:g}"
        case _:
            return f", {above} {least:g}, at most {most:g}" if "more" in above else f", {least:g} to {most:g}"


def _default(value: object) -> str:
    match value:
        case None | "" | () | [] | {}:
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case _:
            return f"`{value}`"


def _prose(text: str) -> str:
    """Keep what Markdown would take for markup; `{{ x }}` stands in code anyway."""
    return " ".join(text.split()).replace("*", "\\*").replace("<", "&lt;")


# --- settings


def _settings() -> str:
    rows = _variables(Settings.model_json_schema())
    introduction = "What `crossfade run` reads; [Operating](../operating.md#settings) explains it."
    return _page("Settings", introduction, "", *_table(("variable", "type", "default", "meaning"), rows))


def _variables(schema: Schema) -> Iterator[Sequence[str]]:
    for name, field in Settings.model_fields.items():
        written = schema["properties"].get(name, {})
        kinds = [each for each in written.get("anyOf", [written]) if each.get("type") != "null"]
        default = field.get_default(call_default_factory=True)
        shown = format_duration(default) if hasattr(default, "total_seconds") else default
        kind = "secret" if any(each.get("format") == "password" for each in kinds) else _type(kinds[0])
        told = _default(shown) if isinstance(shown, str | int | float) else ""
        yield (
            f"`{PREFIX}{name.upper()}`",
            "duration" if hasattr(default, "total_seconds") else kind,
            told,
            _prose((field.description or "").replace("; None:", "; unset:").replace("None:", "Unset:")),
        )


# --- command line

_OF_THE_CLUSTER = {"namespace", "context", "kubeconfig", "no_color"}
"""Every command that asks the cluster has these; they are told once."""


def _command_line() -> str:
    lines = ["`crossfade`, or `kubectl crossfade`; `--help` after any command says the same.", ""]
    for name, command in _commands(program.program()):
        lines += [f"## crossfade {name}", "", *_command(command)]
    asking = next(each for _, each in _commands(program.program()) if _names(each) >= _OF_THE_CLUSTER)
    shared = (_option(each) for each in asking.params if each.name in _OF_THE_CLUSTER)
    lines += ["## Options of the cluster", "", *_table(("option", "default", "meaning"), shared)]
    return _page("Command line", *lines)


def _names(command: Any) -> set[str]:  # noqa: ANN401  # typer brings a click of its own
    return {each.name for each in command.params}


def _commands(app: typer.Typer) -> Iterator[tuple[str, Any]]:
    """Give all commands by name; those of the sandbox as `sandbox up`."""
    group: Any = typer.main.get_command(app)
    for name, command in sorted(group.commands.items()):
        yield name, command
        if name == "sandbox":
            yield from ((f"{name} {each}", below) for each, below in _commands(sandbox.app))


def _command(command: Any) -> Iterator[str]:  # noqa: ANN401  # typer brings a click of its own
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield from (_prose(paragraph), "")
    words = [
        each.name.upper() if each.required else f"[{each.name.upper()}]"
        for each in command.params
        if each.param_type_name == "argument" and not each.hidden
    ]
    if words:
        yield from (f"Arguments: `{' '.join(words)}`", "")
    options = {each.name: each for each in command.params if each.param_type_name == "option"}
    asks = options.keys() >= _OF_THE_CLUSTER
    own = [
        each for name, each in options.items() if name != "help" and not (asks and name in _OF_THE_CLUSTER)
    ]
    if own:
        yield from _table(("option", "default", "meaning"), map(_option, own))
    if asks:
        yield from ("And the [options of the cluster](#options-of-the-cluster).", "")


def _option(option: Any) -> Sequence[str]:  # noqa: ANN401  # as above
    default = option.default if isinstance(option.default, str | int | float) else None
    told = "required" if option.required else "" if default is False else _default(default)
    return ", ".join(f"`{name}`" for name in option.opts), told, _prose(option.help or "")


def _metrics() -> str:
    ours = metrics.Metrics()
    ours.follow(SimpleNamespace(all=lambda: ()))  # no Canaries: names and labels are told all the same
    ours.registry.register(LineCollector(Free()))
    lines = [
        "`/metrics` of `crossfade run`, in Prometheus' text format.",
        "Series of a Canary go with the Canary.",
        "",
        *_table(("metric", "type", "labels", "meaning"), iter(sorted(_families(ours)))),
    ]
    return _page("Metrics", *lines)


def _families(ours: metrics.Metrics) -> Iterator[tuple[str, ...]]:
    for collector in set(ours.registry._collector_to_names):  # noqa: SLF001  # labels are told nowhere else
        for family in _described(collector):
            labels = getattr(
                collector if isinstance(collector, MetricWrapperBase) else family, "_labelnames", ()
            )
            name = family.name + ("_total" if family.type == "counter" else "")
            yield f"`{name}`", family.type, ", ".join(f"`{each}`" for each in labels), family.documentation


def _described(collector: Collector) -> Any:  # noqa: ANN401  # the library's own
    return collector.describe() if isinstance(collector, MetricWrapperBase) else collector.collect()


# --- conditions, events, exit codes

_CONDITIONS = {
    "Ready": "nothing is under way, and nothing is held",
    "Reconciling": "a rollout is under way, or the application is being adopted",
    "Stalled": "it cannot go on as it is written or as the cluster is; the message says what is missing",
    "Held": "the rollout waits; `status.held.needsHuman` says whether waiting alone ends it",
    "Promoted": "`True` after a promotion, `False` after a rollback, `Unknown` in between",
}
_EVENTS = {
    "Adopting": "the version that serves is being pinned",
    "Adopted": "it was",
    "NewRevision": "a new version was found and must get ready",
    "StartedOver": "the candidate changed in mid-rollout: from weight 0 again",
    "Advanced": "the candidate's weight rose",
    "SteppedBack": "it was lowered, without being rolled back",
    "PutBack": "somebody changed the routes, and they were written again",
    "Commanded": "an order was carried out",
    "WouldHaveRolledBack": "a dry run, or a metric with `dryRun`, found harm",
}
_EXITS = {
    ExitCode.OK: "promoted, or nothing to do",
    ExitCode.ERROR: "wrong usage, or the cluster did not do what was asked",
    ExitCode.ROLLED_BACK: "rolled back",
    ExitCode.UNFINISHED: "still under way; with `--watch`: when `--timeout` was over",
    ExitCode.NEEDS_HUMAN: "held, and waiting alone will not end it",
    ExitCode.INVALID: "the spec cannot be used",
}


def _messages() -> str:
    reasons = [*_EVENTS, *(f"Verdict{verdict}" for verdict in Verdict)]
    _complete(set(_conditions()), set(_CONDITIONS), "condition")
    _complete(_literal_events(), set(_EVENTS), "event")
    _complete(set(ExitCode), set(_EXITS), "exit code")
    meanings = _EVENTS | {f"Verdict{each}": f"the verdict became `{each}`" for each in Verdict}
    phases = [phase for phase in Phase if phase not in {Phase.PREPARING, Phase.IDLE}]
    lines = [
        "## Conditions",
        "",
        *_table(("type", "`True` means"), ((f"`{name}`", words) for name, words in _CONDITIONS.items())),
        f"Why it is held is one of {_listed(HeldReason)}.",
        "[Operating](../operating.md#when-a-rollout-is-held) says what to do.",
        "",
        "## Events",
        "",
        *_table(("reason", "what happened"), ((f"`{name}`", meanings[name]) for name in reasons)),
        f"A phase that begins is an event of its name: {_listed(phases)}.",
        "A rollout that begins to wait is one with the reason of the condition `Held`.",
        "Its message is the sentence of the column REASON; `Warning` is for what somebody should look at.",
        "",
        "## Exit codes",
        "",
        "Of every command of `crossfade`; `status` uses all of them.",
        "",
        *_table(("code", "meaning"), ((f"`{int(code)}`", words) for code, words in _EXITS.items())),
    ]
    return _page("Conditions, events, exit codes", *lines)


def _conditions() -> Iterator[str]:
    epoch = dt.datetime.fromtimestamp(0, dt.UTC)
    return (condition.type for condition in report.conditions(Status(), epoch))


def _literal_events() -> set[str]:
    """Find the reasons that the code of `report` names itself; all others are names of enums."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(report)))
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="Event"), args=[_, reason, _]):
                found |= _texts(reason)
            case ast.Assign(targets=[ast.Name(id="reason")], value=value):
                found |= _texts(value)
            case _:
                pass
    return found


def _texts(node: ast.expr) -> set[str]:
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp(body=body, orelse=orelse):
            return _texts(body) | _texts(orelse)
        case _:
            return set()


def _complete(found: set[Any], explained: set[Any], kind: str) -> None:
    if found != explained:
        raise SystemExit(
            f"{__file__}: one sentence is needed for each {kind}; "
            f"without: {sorted(map(str, found - explained))}, gone: {sorted(map(str, explained - found))}"
        )


def _listed(names: Sequence[enum.Enum] | type[enum.Enum]) -> str:
    return ", ".join(f"`{name.value}`" for name in names)


if __name__ == "__main__":
    for file, text in pages().items():
        (FOLDER / file).write_text(text, "utf-8")
