"""What docs/presets.md shows can be used: the settings, and the metrics that name them."""

import re
from pathlib import Path

import pytest
import yaml

from config.load import load_spec
from config.settings import load_settings


PAGE = (Path(__file__).parents[2] / "docs" / "presets.md").read_text()
SETTINGS, ANALYSIS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_metrics_name_what_the_settings_define(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSFADE_PRESETS", raising=False)
    file = tmp_path / "settings.yaml"
    file.write_text(SETTINGS)
    spec = {
        "workload": {"selector": {"app": "shop"}},
        "upstream": {"name": "shop", "namespace": "gloo-system"},
        "routes": [{"name": "shop", "namespace": "gloo-system"}],
        **yaml.safe_load(ANALYSIS),
    }
    presets = load_settings(str(file)).presets
    metrics = load_spec(spec, {}, presets).analysis.metrics
    assert [metric.name for metric in metrics] == ["shop-errors", "shop-latency", "backlog"]
    assert len(presets) == len(metrics)
