"""Writes what is made from the chart: the manifests in install/, and the table of values in its README.

    .venv/bin/python scripts/manifests.py [--image REPOSITORY] [--namespace WATCHED]

A test compares the files with what this would write without options.
"""  # noqa: INP001  # a script

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import helm_python as helm
import typer
import yaml


ROOT = Path(__file__).parents[1]
CHART = ROOT / "helm" / "crossfade"
README = CHART / "README.md"
INSTALL = ROOT / "install"
IMAGE = "registry.example.org/crossfade"
"""Nobody's: no image is published yet."""
NAMESPACE = "crossfade"
WATCHED = "default"

_BEGIN, _END = "<!-- values: written by scripts/manifests.py -->\n", "<!-- end of values -->\n"
_OF_HELM = re.compile(r"^ +(app\.kubernetes\.io/managed-by|helm\.sh/chart): .*\n", re.MULTILINE)
_ORDER = ("Namespace", "CustomResourceDefinition", "ServiceAccount", "ConfigMap")
"""First what others need; then by name of the file in the chart."""


def manifests(image: str = IMAGE, watched: str = WATCHED) -> dict[str, str]:
    """Give the content of the files in install/ by name."""
    return {
        "install.yaml": _manifest("Canaries of all namespaces", {"image": {"repository": image}}),
        "install-namespaced.yaml": _manifest(
            f"Canaries of the namespace {watched}",
            {"image": {"repository": image}, "watchNamespace": watched},
        ),
    }


def readme(text: str) -> str:
    """Give the README of the chart with the table as it should be.

    Raises:
        ValueError: the text has no place for it.

    """
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{README}: found no place for the table of values; mark it with {_BEGIN}{_END}")
    rows = (f"| `{path}` | `{_short(default)}` | {text} |" for path, default, text in described(CHART))
    table = "\n".join(["| value | default | meaning |", "|---|---|---|", *rows])
    return f"{before}{begin}\n{table}\n\n{end}{after}"


def described(chart: Path) -> Iterator[tuple[str, Any, str]]:
    """Give path, default and description of each value that a `# --` stands above, in the file's order."""
    text = (chart / "values.yaml").read_text("utf-8")
    values, path, words = yaml.safe_load(text), dict[int, str](), list[str]()
    for line in text.splitlines():
        comment = re.fullmatch(r" *# (-- )?(.*)", line)
        key = re.match(r"( *)([A-Za-z]+):", line)
        if comment and (comment[1] or words):
            words = [*([] if comment[1] else words), comment[2]]
        elif key:
            depth = len(key[1])
            path = {at: name for at, name in path.items() if at < depth} | {depth: key[2]}
            if words:
                yield ".".join(path.values()), _at(values, path.values()), " ".join(words)
            words = []


def _at(values: Any, path: Any) -> Any:  # noqa: ANN401  # YAML's own
    for name in path:
        values = values[name]
    return values


def _short(default: object) -> str:
    return json.dumps(default).replace("|", "\\|")


def _manifest(what: str, values: Mapping[str, Any]) -> str:
    with helm.Chart.load(CHART) as chart:
        texts = chart.render(dict(values), name="crossfade", namespace=NAMESPACE)
        definitions = [definition["data"] for definition in chart.crds]
    head = (
        f"# Crossfade for {what}, made from helm/crossfade by scripts/manifests.py.\n"
        "# Before it is applied: say where the image is, and prometheusUrl in the ConfigMap.\n"
        "# Later, other settings need: kubectl --namespace crossfade rollout restart deployment/crossfade\n"
    )
    rendered = [text for path, text in sorted(texts.items()) if path.endswith(".yaml")]
    parts = [
        part for text in [*definitions, *rendered] for part in re.split(r"^---$", text, flags=re.MULTILINE)
    ]
    wanted = [_OF_HELM.sub("", part.strip("\n") + "\n") for part in parts if _installed(part)]
    return head + "---\n".join(["", _namespace(), *sorted(wanted, key=_rank)])


def _installed(part: str) -> bool:
    document = yaml.safe_load(part)
    return bool(document) and "helm.sh/hook" not in document["metadata"].get("annotations", {})


def _rank(part: str) -> int:
    kind = yaml.safe_load(part)["kind"]
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _namespace() -> str:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return yaml.safe_dump(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
        sort_keys=False,
    )


def main(
    *,
    image: Annotated[str, typer.Option(help="Where the image is, without its tag.")] = IMAGE,
    namespace: Annotated[str, typer.Option(help="What install-namespaced.yaml looks after.")] = WATCHED,
) -> None:
    """Write the files."""
    INSTALL.mkdir(exist_ok=True)
    for name, text in manifests(image, namespace).items():
        (INSTALL / name).write_text(text, "utf-8")
    README.write_text(readme(README.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    typer.run(main)
