"""Deployment files: they parse, name only what exists, and their alert rules pass their own tests."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from guard.config import Settings
from guard.metrics import FAMILIES, Metrics

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def series() -> set[str]:
    """Return every series name guard can expose."""
    names: set[str] = set()
    for family in FAMILIES:
        ends = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
        names |= {f"{family.exposed}{end}" for end in ends}
    process = {
        sample.name for metric in Metrics(CollectorRegistry()).registry.collect() for sample in metric.samples
    }
    return names | {name for name in process if name.startswith("guard_process_")}


def labels_of(name: str) -> set[str]:
    for family in FAMILIES:
        if name.startswith(family.exposed):
            return set(family.labels) | {"le"}
    return set()


def expressions() -> Iterator[tuple[str, str]]:
    for group in load(PROMETHEUS / "guard.rules.yml")["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.loads((DEPLOY / "grafana" / "guard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_rules_and_dashboard_use_metrics_and_labels_that_exist(where: str, expression: str) -> None:
    used = set(re.findall(r"\bguard_\w+", expression))
    assert used <= series(), where
    assert used or expression.startswith("up{")
    for name, inside in re.findall(r"\b(guard_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*=", inside)) <= labels_of(name), where
    for grouped in re.findall(r"by \(([^)]*)\)", expression):
        wanted = {label.strip() for label in grouped.split(",")}
        assert all(wanted <= labels_of(name) for name in used), where


def test_every_metric_is_on_the_dashboard() -> None:
    text = (DEPLOY / "grafana" / "guard.json").read_text()
    assert [f.exposed for f in FAMILIES if f.exposed not in text] == []


def test_every_rule_says_what_to_do_and_has_a_test_in_which_it_fires() -> None:
    rules = [rule for group in load(PROMETHEUS / "guard.rules.yml")["groups"] for rule in group["rules"]]
    fired = {
        case["alertname"]
        for test in load(PROMETHEUS / "guard.test.yml")["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    for rule in rules:
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["labels"]["severity"] in ("critical", "warning")
    assert fired == {rule["alert"] for rule in rules}


def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        if os.environ.get("GUARD_REQUIRE_PROMTOOL"):
            pytest.fail(
                "promtool is required (GUARD_REQUIRE_PROMTOOL) but missing: install Debian's prometheus"
            )
        pytest.skip("promtool is missing: install Debian's prometheus to test the alert rules")
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ["test", "rules", "guard.test.yml"],
        ["check", "rules", "guard.rules.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool_accepts(arguments: list[str]) -> None:
    done = subprocess.run(
        [promtool(), *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_refuses_a_rule_that_does_not_fire(tmp_path: Path) -> None:
    shutil.copytree(PROMETHEUS, tmp_path / "p")
    rules = tmp_path / "p" / "guard.rules.yml"
    rules.write_text(rules.read_text().replace('up{job="guard"} == 0', 'up{job="guard"} == 2'))
    done = subprocess.run(
        [promtool(), "test", "rules", "guard.test.yml"], cwd=tmp_path / "p", capture_output=True, check=False
    )
    assert done.returncode != 0


def test_the_unit_is_hardened_and_starts_what_exists() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "systemd" / "guard.service")
    service = dict(unit["Service"])
    for key in ("NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome", "LockPersonality"):
        assert service[key] == "yes", key
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["ExecStart"].split()[1:] == ["serve", "--config", "/etc/guard/guard.toml"]
    assert service["ExecStartPre"].split()[1] == "check-config"


def test_environment_names_in_the_deployment_files_are_settings() -> None:
    files = ("systemd/guard.service", "container/Containerfile", "container/compose.yaml", "README.md")
    names = {n for f in files for n in re.findall(r"\bGUARD_[A-Z_]*[A-Z]", (DEPLOY / f).read_text())}
    assert names
    for name in names:
        section, _, key = name.removeprefix("GUARD_").lower().partition("__")
        assert section in Settings.model_fields, name
        if key:
            assert hasattr(Settings.model_fields[section].default, key), name


def test_containers_run_unprivileged() -> None:
    services = load(DEPLOY / "container" / "compose.yaml")["services"]
    assert services["guard"]["cap_drop"] == ["ALL"]
    assert services["guard"]["read_only"] is True
    assert "USER 10001" in (DEPLOY / "container" / "Containerfile").read_text()
    for name in re.findall(
        r"^COPY (?!--)(.+) \S+$", (DEPLOY / "container" / "Containerfile").read_text(), re.MULTILINE
    ):
        for source in name.split():
            assert (DEPLOY.parent / source).exists(), source


def test_files_the_compose_file_mounts_exist() -> None:
    folder = DEPLOY / "container"
    for service in load(folder / "compose.yaml")["services"].values():
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (folder / volume.split(":")[0]).exists(), volume
