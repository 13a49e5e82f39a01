"""What the page says of a mirror, in both languages."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from powerpi.page_mirror import origin_text, push_text
from powerpi.push_status import AT_ONCE, LATER, PushStatus
from powerpi.readings import MeterReading
from powerpi.texts import LANGUAGES, texts

BERLIN = ZoneInfo("Europe/Berlin")
NOW = 1_783_232_160.0  # 2026-07-05 08:16 in Berlin
EARLIER = NOW - 660  # 08:05
YESTERDAY = NOW - 86400
WHYS = ("clock", *AT_ONCE, *LATER)
READING = MeterReading(
    "hut", "Hut", 1000.0, None, False, None, None, None, None, None, 0.0, 0, 0, None,
    received_from="pi-hq", received_time=EARLIER,
)  # fmt: skip


def told(language: str, **status: Any) -> str:
    return push_text(PushStatus("mirror.example", **status), texts(language), BERLIN, NOW)


@pytest.mark.parametrize(
    ("status", "english", "german"),
    [
        ({}, "not asked yet", "noch nicht gefragt"),
        ({"in_step": True, "behind_rows": 0, "since": NOW}, "in step", "auf gleichem Stand"),
        (
            {"in_step": True, "behind_rows": 0, "since": NOW, "identical_until": int(EARLIER)},
            "in step, identical up to 08:05",
            "auf gleichem Stand, identisch bis 08:05",
        ),
        (
            {"in_step": True, "since": NOW, "identical_until": int(YESTERDAY)},
            "in step, identical up to 2026-07-04 08:16",
            "auf gleichem Stand, identisch bis 04.07.2026 08:16",
        ),
        ({"behind_rows": 3_150_000}, "3,150,000 rows behind", "3\u202f150\u202f000 Zeilen zurück"),
        (
            {"behind_rows": 66, "since": EARLIER},
            "66 rows behind since 08:05",
            "66 Zeilen zurück seit 08:05",
        ),
        (
            {"behind_rows": 8640, "since": YESTERDAY, "why": "away", "said": "refused"},
            "8640 rows behind since 2026-07-04 08:16: it cannot be reached",
            "8640 Zeilen zurück seit 04.07.2026 08:16: er ist nicht zu erreichen",
        ),
        (
            {"behind_rows": 12, "why": "login"},
            "12 rows behind: it refuses user or password",
            "12 Zeilen zurück: er lehnt Benutzer oder Passwort ab",
        ),
        (
            {"why": "clock"},
            "not in step yet: the clock is not set yet",
            "noch nicht auf gleichem Stand: die Uhr ist noch nicht gestellt",
        ),
        (
            {"why": "certificate", "since": EARLIER},
            "not in step since 08:05: its certificate will not do",
            "nicht auf gleichem Stand seit 08:05: sein Zertifikat taugt nicht",
        ),
    ],
)
def test_state_of_the_mirror_in_a_line(status: dict[str, Any], english: str, german: str) -> None:
    assert told("en", **status) == f"Mirror mirror.example: {english}"
    assert told("de", **status) == f"Spiegel mirror.example: {german}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("why", WHYS)
def test_every_reason_has_words(language: str, why: str) -> None:
    said = told(language, behind_rows=1, since=EARLIER, why=why)
    assert said.endswith(f": {texts(language)[f'push_why_{why}']}")
    assert "None" not in said


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("why", [None, *WHYS])
@pytest.mark.parametrize("behind_rows", [None, 0, 7])
@pytest.mark.parametrize("since", [None, EARLIER])
def test_no_state_has_holes(language: str, why: str | None, behind_rows: int | None, since: float | None) -> None:
    said = told(language, why=why, behind_rows=behind_rows, since=since)
    assert "None" not in said
    assert "{" not in said


# ---------------------------------------------------------------- where a meter comes from


def origin(language: str, **changes: Any) -> str:
    return origin_text(READING._replace(**changes), texts(language), BERLIN, NOW)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_meter_that_is_counted_here_has_no_origin(language: str) -> None:
    assert origin(language, received_from=None) == ""
    assert origin(language, received_from=None, received_time=None, silent=True, sampled=True) == ""


@pytest.mark.parametrize(
    ("changes", "english", "german"),
    [
        ({}, "Received from pi-hq", "Empfangen von pi-hq"),
        ({"silent": True}, "Received from pi-hq, last heard of 08:05", "Empfangen von pi-hq, zuletzt gehört 08:05"),
        (
            {"silent": True, "received_time": YESTERDAY},
            "Received from pi-hq, last heard of 2026-07-04 08:16",
            "Empfangen von pi-hq, zuletzt gehört 04.07.2026 08:16",
        ),
        ({"silent": True, "received_time": None}, "Received from pi-hq", "Empfangen von pi-hq"),
        (
            {"sampled": True},
            "Received from pi-hq; made of power samples",
            "Empfangen von pi-hq; aus Leistungswerten",
        ),
        (
            {"sampled": True, "silent": True},
            "Received from pi-hq, last heard of 08:05; made of power samples",
            "Empfangen von pi-hq, zuletzt gehört 08:05; aus Leistungswerten",
        ),
    ],
)
def test_sender_of_a_meter_and_when_it_was_last_heard(changes: dict[str, Any], english: str, german: str) -> None:
    assert origin("en", **changes) == english
    assert origin("de", **changes) == german
