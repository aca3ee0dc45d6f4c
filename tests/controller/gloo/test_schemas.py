"""The account of our writes is held against Gloo's schemas; here, that this would notice something."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from controller.gloo.routes import patch
from controller.rollout.moves import Form
from gateway import TARGET
from sandbox.apiserver.merging import json_patch
from schemas import REAL, breaches


US, THEM = "crossfade/0.1", "kubectl/1.37"
FOLDERS = [
    pytest.param(Path("absent"), id="our own"),
    *([pytest.param(REAL, id="Gloo's")] if REAL.exists() else []),
]
VIRTUAL_SERVICE: dict[str, Any] = {
    "kind": "VirtualService",
    "metadata": {"name": "echo", "namespace": "gloo-system"},
    "spec": {
        "virtualHost": {
            "domains": ["*"],
            "routes": [
                {
                    "matchers": [{"prefix": "/"}],
                    "routeAction": {
                        "single": {"upstream": {"name": "echo", "namespace": "gloo-system"}},
                    },
                }
            ],
        }
    },
}


def account(path: Path, *writes: tuple[str, dict[str, Any]]) -> Path:
    lines = [
        {
            "verb": "patch",
            "namespace": "gloo-system",
            "name": "echo",
            "userAgent": agent,
            "object": document,
        }
        for agent, document in writes
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_we_write_is_allowed(tmp_path: Path, folder: Path) -> None:
    forms = (Form("v1"), Form("v1", "v2", 25), Form("v2"))
    documents = [VIRTUAL_SERVICE]
    for form in forms:
        documents.append(json_patch(documents[-1], list(patch(documents[-1], TARGET, form))))
    writes = [(US, document) for document in documents]
    assert breaches(account(tmp_path / "audit", *writes), folder) == []


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize(
    ("route", "words"),
    [
        pytest.param(
            {"routeAction": {"multi": {"destinations": [{"weight": "5"}]}}}, "'5'", id="a wrong type"
        ),
        pytest.param({"shadow": {}}, "'shadow'", id="an unknown field"),
    ],
)
def test_what_is_not_allowed_is_found_only_where_we_wrote_it(
    tmp_path: Path, folder: Path, route: dict[str, Any], words: str
) -> None:
    wrong = copy.deepcopy(VIRTUAL_SERVICE)
    wrong["spec"]["virtualHost"]["routes"].append(route)
    [found] = breaches(account(tmp_path / "a", (THEM, VIRTUAL_SERVICE), (US, wrong)), folder)
    assert words in found
    assert breaches(account(tmp_path / "b", (THEM, wrong), (US, wrong)), folder) == []
