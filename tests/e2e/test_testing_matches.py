"""Every kind of match, as real Envoy takes it: who reaches a version that is tested, and who does not."""

from typing import Any

import requests

from releases import Application


NO_BOT = {"name": "x-bot", "present": True, "invert": True}
MATCHES: list[dict[str, Any]] = [
    {"headers": [{"name": "stage", "value": "canary"}]},
    {"headers": [{"name": "X-Team", "regex": "red|blue"}, NO_BOT]},
    {"headers": [{"name": "x-user", "present": True}, {"name": "x-tier", "value": "gold", "invert": True}]},
    {"headers": [{"name": "x-lab", "present": True}, {"name": "x-age", "regex": "[0-9]+", "invert": True}]},
    {"queryParameters": [{"name": "preview", "value": "yes"}, {"name": "page", "regex": "[0-9]+"}]},
    {"queryParameters": [{"name": "beta", "present": True}], "methods": ["POST", "PUT"]},
]
ANSWERS: list[tuple[str, dict[str, str], str, str]] = [
    ("GET", {}, "", "v1"),
    ("GET", {"stage": "canary"}, "", "v2"),
    ("GET", {"Stage": "canary"}, "", "v2"),
    ("GET", {"stage": "Canary"}, "", "v1"),
    ("GET", {"x-team": "red"}, "", "v2"),
    ("GET", {"x-team": "redder"}, "", "v1"),
    ("GET", {"x-team": "blue", "x-bot": "1"}, "", "v1"),
    ("GET", {"x-user": "ada"}, "", "v1"),
    ("GET", {"x-user": "ada", "x-tier": "silver"}, "", "v2"),
    ("GET", {"x-user": "ada", "x-tier": "gold"}, "", "v1"),
    ("GET", {"x-lab": "1"}, "", "v1"),
    ("GET", {"x-lab": "1", "x-age": "old"}, "", "v2"),
    ("GET", {"x-lab": "1", "x-age": "42"}, "", "v1"),
    ("GET", {}, "preview=yes&page=7", "v2"),
    ("GET", {}, "preview=yes", "v1"),
    ("GET", {}, "preview=yes&page=x", "v1"),
    ("POST", {}, "beta", "v2"),
    ("PUT", {}, "beta=1", "v2"),
    ("GET", {}, "beta", "v1"),
]


def test_every_kind_of_match_chooses_as_it_says(app: Application) -> None:
    app.adopted(testing={"match": MATCHES, "approval": "Manual"}, shifting=None)
    app.deploy("v2")
    with app.load(30):
        app.until(lambda status: (status.get("held") or {}).get("reason") == "AwaitingApproval")
        found = [answered(app, *asked[:3]) for asked in ANSWERS]
    assert list(zip(ANSWERS, found, strict=True)) == [(asked, asked[3]) for asked in ANSWERS]


def answered(app: Application, method: str, headers: dict[str, str], query: str) -> str:
    url = f"{app.cluster.gateway}/?{query}"
    answer = requests.request(method, url, headers={"Host": app.host, **headers}, timeout=5)
    return answer.headers.get("x-app-version", str(answer.status_code))
