"""A hook of MkDocs: what the pages of docs/ refer to outside of it becomes pages of the site as well.

In the repository a page links to `../ARCHITECTURE.md` or `../config/examples/full.yaml`.
The site holds the former as a page, and all examples on one page; the links are led there.
"""  # noqa: INP001  # a script

import posixpath
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page


ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    "ARCHITECTURE.md": "Architecture",
    "CONTRIBUTING.md": "Contributing",
    "SECURITY.md": "Security",
    "CHANGELOG.md": "Changes",
}
"""Pages of the repository's top folder, and what they are called in the navigation."""
EXAMPLES = "config/examples"
RUNBOOKS = "runbooks"

_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
_FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put into the navigation what is not listed by hand: runbooks, examples, the top folder's pages."""
    sections: dict[str, list[Any]] = {
        title: part for each in config.nav or [] for title, part in each.items()
    }
    sections["Reference"].append({"Examples": "examples.md"})
    sections["About"] += [{title: f"project/{name.lower()}"} for name, title in DOCUMENTS.items()]
    runbooks = sorted((Path(config.docs_dir) / RUNBOOKS).glob("*.md"), key=lambda path: path.stem.lower())
    if runbooks:
        sections["Troubleshooting"].append({"Runbooks": [f"{RUNBOOKS}/{path.name}" for path in runbooks]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from files outside of docs/."""
    for name in DOCUMENTS:
        files.append(
            File.generated(config, f"project/{name.lower()}", content=(ROOT / name).read_text("utf-8"))
        )
    files.append(File.generated(config, "examples.md", content=examples()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of a page that leave docs/ to where the site holds what they mean."""
    del config, files
    uri = page.file.src_uri
    source = next((name for name in DOCUMENTS if uri == f"project/{name.lower()}"), f"docs/{uri}")
    return led(markdown, source, uri)


def led(markdown: str, source: str, uri: str) -> str:
    """Rewrite the links of one page; code is left alone.

    Args:
        markdown: The page.
        source: Where it is in the repository, `docs/canary.md`.
        uri: Where it is in the site, `canary.md`.

    Raises:
        PluginError: a link leads to a file that the site does not hold.

    """

    def rewritten(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        return posixpath.relpath(_held(target, source), posixpath.dirname(uri) or ".") + (
            match[2] or _anchor(target)
        )

    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else _LINK.sub(rewritten, part) for part in parts)


def _held(target: str, source: str) -> str:
    """Give the page of the site that holds a file of the repository."""
    path = PurePosixPath(target)
    if path.is_relative_to("docs"):
        return str(path.relative_to("docs"))
    if path.is_relative_to(EXAMPLES):
        return "examples.md"
    if target in DOCUMENTS:
        return f"project/{target.lower()}"
    if target == "README.md":
        return "index.md"
    raise PluginError(
        f"{source} links to {target}, which the site does not hold; "
        "link to docs/, config/examples, or a page of the top folder"
    )


def _anchor(target: str) -> str:
    path = PurePosixPath(target)
    return f"#{_identity(path)}" if path.is_relative_to(EXAMPLES) and target != EXAMPLES else ""


def _identity(path: PurePosixPath) -> str:
    return re.sub(r"[^a-z0-9]+", "-", str(path.relative_to(EXAMPLES)).lower())


def examples() -> str:
    """Write the page with every file of config/examples."""
    lines = ["# Examples", "", "The files of `config/examples`, to be copied.", ""]
    folder = ROOT / EXAMPLES
    for path in sorted(folder.rglob("*"), key=lambda path: (len(path.parts), path)):
        here = PurePosixPath(path.relative_to(ROOT).as_posix())
        if path.is_dir():
            lines += [f"## {path.name}/ {{ #{_identity(here)} }}", ""]
        elif path.suffix == ".yaml":
            depth = "##" + "#" * (len(path.relative_to(folder).parts) - 1)
            lines += [f"{depth} {path.name} {{ #{_identity(here)} }}", "", "```yaml"]
            lines += [path.read_text("utf-8").rstrip(), "```", ""]
    return "\n".join(lines)
