"""Which metric reporters are started."""

from __future__ import annotations

import logging

import pytest

from millpond.common.configuration import Configuration
from millpond.configuration.reporter_choice import PrometheusChoice, chosen_reporters
from millpond.errors import ConfigurationError

PROMETHEUS = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"
CLASS = "metrics.reporter.prom.factory.class"


def _chosen(**options: str) -> list[PrometheusChoice]:
    pairs = {key.replace("__", "."): value for key, value in options.items()}
    return chosen_reporters(Configuration.from_dict(pairs))


def test_nothing_is_started_without_configuration() -> None:
    assert _chosen() == []


def test_flinks_keys() -> None:
    (choice,) = _chosen(
        metrics__reporters="prom",
        metrics__reporter__prom__class=PROMETHEUS.removesuffix("Factory"),
        metrics__reporter__prom__port="9250-9252,9300",
        metrics__reporter__prom__filterLabelValueCharacters="false",
    )
    assert choice == PrometheusChoice("prom", (9250, 9251, 9252, 9300), filters_label_values=False)


def test_without_list_all_are_started() -> None:
    (choice,) = _chosen(metrics__reporter__prom__factory__class=PROMETHEUS)
    assert choice == PrometheusChoice("prom", (9249,))


def test_the_list_leaves_others_out() -> None:
    other = "org.apache.flink.metrics.jmx.JMXReporter"
    (choice,) = _chosen(
        metrics__reporters="prom",
        metrics__reporter__prom__factory__class=PROMETHEUS,
        metrics__reporter__jmx__class=other,
    )
    assert choice.name == "prom"


def test_other_reporters_of_flink_are_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert _chosen(metrics__reporter__jmx__class="org.apache.flink.metrics.jmx.JMX") == []
    assert "'jmx' is not started" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics.reporters": "prm", CLASS: PROMETHEUS}, "Did you mean 'prom'"),
        ({CLASS: "my.Own"}, "'my.Own' in 'metrics.reporter.prom.factory.class' is no metric"),
        ({CLASS: PROMETHEUS, "metrics.reporter.prom.port": "http"}, "'http' in .*port.* is no"),
        ({CLASS: PROMETHEUS, "metrics.reporter.prom.port": "70000"}, "from 0 to 65535"),
        ({CLASS: PROMETHEUS, "metrics.reporter.prom.port": "9260-9250"}, "such as"),
        (
            {CLASS: PROMETHEUS, "metrics.reporter.prom.filterLabelValueCharacters": "yes"},
            "must be true or false, not 'yes'",
        ),
    ],
)
def test_bad_settings_are_named(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        chosen_reporters(Configuration.from_dict(options))
