"""The page about alerts is right: its values install them, Prometheus reads them, its routes lead on."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
import yaml

from sandbox import prometheus


ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "crossfade"
ALERTS = CHART / "alerts" / "crossfade.yaml"
PAGE = (ROOT / "docs" / "alerts.md").read_text()
MATCHER = re.compile(r'(\w+) (=~|=) "(.*)"')
PAGER, TEAM, OTHERS = "platform-pager", "team-shop", "platform"


def block(file: str) -> Any:
    (text,) = re.findall(rf"^```yaml\n# {re.escape(file)}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return yaml.safe_load(text)


def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def is_matched(matchers: list[str], labels: dict[str, str]) -> bool:
    parts = [MATCHER.fullmatch(matcher) for matcher in matchers]
    assert all(parts)
    return all(
        re.fullmatch(part[3], labels.get(part[1], "")) if part[2] == "=~" else labels.get(part[1]) == part[3]
        for part in parts
        if part
    )


def receiver(route: dict[str, Any], labels: dict[str, str]) -> str:
    routes = (each for each in route["routes"] if is_matched(each["matchers"], labels))
    found: str = next(routes, route)["receiver"]
    return found


def test_the_values_switch_alerts_and_scraping_on() -> None:
    values = block("values.yaml") | {"image": {"repository": "registry.example.org/crossfade"}}
    with helm.Chart.load(CHART) as chart:
        texts = chart.render(values, name="crossfade", namespace="crossfade")
    documents = [yaml.safe_load(text) for path, text in texts.items() if "monitor" in path or "rule" in path]
    found = {each["kind"]: each["metadata"]["labels"]["release"] for each in documents if each}
    assert found == {"ServiceMonitor": "prometheus", "PrometheusRule": "prometheus"}


def test_prometheus_reads_the_file_of_the_rules_as_it_is(tmp_path: Path) -> None:
    config = block("prometheus.yml")
    (scraped,) = config["scrape_configs"]
    assert scraped["honor_labels"] is True
    assert scraped.pop("kubernetes_sd_configs"), "which the sandbox's Prometheus was built without"
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(ALERTS, tmp_path)
    promtool = prometheus.find(prometheus.cache_folder()).with_name("promtool")
    done = subprocess.run(
        [promtool, "check", "config", "prometheus.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"SUCCESS: {len(rules())} rules found" in done.stdout


@pytest.mark.parametrize("alert", rules())
def test_every_alert_goes_to_whom_the_table_says(alert: str) -> None:
    severity = rules()[alert]["labels"]["severity"]
    ((about, soon),) = re.findall(
        rf"^\| .*`{alert}`.* \| (a Canary|the controller) \| .* \| (now|in working hours)", PAGE, re.MULTILINE
    )
    assert (soon == "now") is (severity == "critical")
    labels = {"alertname": alert, "severity": severity}
    if about == "a Canary":
        assert "by (namespace, name)" in rules()[alert]["expr"]
        labels |= {"namespace": "shop", "name": "echo"}
    route = block("alertmanager.yml")["route"]
    expected = PAGER if severity == "critical" else TEAM if about == "a Canary" else OTHERS
    assert receiver(route, labels) == expected
    assert receiver(route, labels | {"namespace": "other"}) in (PAGER, OTHERS)


def test_the_routes_name_what_there_is() -> None:
    config = block("alertmanager.yml")
    named = {each["name"] for each in config["receivers"]}
    assert {PAGER, TEAM, OTHERS} == named
    assert {config["route"]["receiver"], *(each["receiver"] for each in config["route"]["routes"])} == named
    (muted,) = config["inhibit_rules"]
    assert is_matched(muted["source_matchers"], {"alertname": "CrossfadeBlind"})
    assert is_matched(muted["target_matchers"], {"alertname": "CrossfadeStuck"})
    for alert in ("CrossfadeBlind", "CrossfadeStuck"):
        assert f"by ({', '.join(muted['equal'])})" in rules()[alert]["expr"]
    asked = re.findall(r"config routes test \S+ alertname=(\w+) namespace=(\w+) severity=(\w+)\n(\S+)", PAGE)
    ((alert, namespace, severity, answer),) = asked
    assert rules()[alert]["labels"]["severity"] == severity
    labels = {"alertname": alert, "namespace": namespace, "severity": severity}
    assert receiver(config["route"], labels) == answer
