"""Cards of runs: their facts, as Markdown and JSON, without any trace of a machine."""

import hashlib
import json
from dataclasses import replace

import pytest

import segbench
from segbench.core import AdapterInfo
from segbench.report import write_export
from segbench.report.card import data_sha256, run_card
from segbench.report.resampling import Resampling
from segbench.report.statistics import mean_intervals
from segbench.results import CaseResult
from segbench.runs.run_folder import write_case_result, write_manifest
from tests.manifests import manifest
from tests.report.small_runs import RISING, case

A, B, C = ("aa" * 32, "bb" * 32, "cc" * 32)


@pytest.fixture
def results(run):
    cases = [
        case("CT_1", file_sha256=A, cost={"harness_seconds": 0.0, "peak_mb": 12.0}),
        case("CT_2", RISING, file_sha256=B, failed=(2,)),
        case("MR_3", file_sha256=C),
        CaseResult("MR_4", "invalid", reason="no label"),
    ]
    info = {"version": "2", "licence": "MIT", "weights_sha256": "12" * 32}
    return segbench.load(run("ours", cases, planned=5, **info), run("other", [case("CT_1")]))


def test_a_card_has_what_the_run_folder_has(results):
    card = run_card(results, "ours")
    manifest = results.runs["ours"].manifest
    assert card["protocol"]["hash"] == manifest.protocol.hash
    assert card["protocol"]["settings"]["n_clicks"] == 5
    assert card["adapter"]["name"] == "ours"
    assert card["adapter"]["licence"] == "MIT"
    assert card["adapter"]["weights_sha256"] == "12" * 32
    assert card["adapter"]["source_sha256"] == manifest.adapter_source_sha256
    assert card["data"]["cases_by_modality"] == {"CT": 2, "MR": 1, "not stated": 1}
    assert card["data"]["n_cases_in_sha256"] == 3
    failures = card["failures"]
    assert [failures[f"n_{name}"] for name in ("done", "ok", "failed", "invalid")] == [4, 2, 1, 1]
    assert failures["failed_steps"] == 1
    assert failures["reasons"] == {"it_crashed & burned": 1, "no label": 1}
    assert card["time"]["seconds"] == 18.0
    assert card["time"]["mean_seconds_per_case"] == 6.0
    assert card["time"]["max_peak_mb"] == 12.0
    assert card["hardware"][0]["jobs"] == 1
    assert "clinical use" in card["intended_use"]
    limits = " ".join(card["limits"])
    assert "4 of 5 cases are done" in limits
    assert "1 case was refused as invalid" in limits
    assert "simulated" in limits


def test_the_means_are_those_of_the_statistics_under_the_policy(results):
    resampling = Resampling(draws=100, seed=3, patient_pattern="(CT|MR)")
    card = run_card(results, "ours", resampling)
    own = results.cases[results.cases["method"] == "ours"]
    frame = mean_intervals(own, resampling=resampling)
    assert [row["mean"] for row in card["scores"]["means"]] == frame["mean"].tolist()
    assert card["scores"]["means"][0]["low"] == frame["low"][0]
    assert card["scores"]["means"][0]["n_patients"] == 2
    assert card["scores"]["draws"] == 100
    assert card["policy"] == {"failures": "zero", "time_limit": None}


def test_the_hash_of_the_data_is_that_of_the_sorted_hashes():
    lines = sorted([f"{A}\n", f"{B} {C}\n"])
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    with_reference = case("CT_1", file_sha256=B, reference_sha256=C)
    assert data_sha256([with_reference, case("CT_2", file_sha256=A)]) == expected
    assert data_sha256([case("X_2", file_sha256=A), with_reference]) == expected
    assert data_sha256([case("CT_1", file_sha256=B), case("CT_2", file_sha256=A)]) != expected
    assert data_sha256([CaseResult("CT_1", "invalid")]) is None


def test_markdown_and_json_have_the_same_numbers(results, tmp_path):
    files = write_export(results, tmp_path / "out", format="card")
    assert [file.name for file in files] == [
        *("card-ours.md", "card-ours.json", "card-other.md", "card-other.json")
    ]
    text, card = files[0].read_text(), json.loads(files[1].read_text())
    assert card == json.loads(json.dumps(run_card(results, "ours")))
    for row in card["scores"]["means"]:
        assert f"{row['mean']:.4f}" in text
    for fact in (card["data"]["sha256"], "12" * 32, card["protocol"]["hash"], "MIT", "12 MB"):
        assert fact in text
    assert "Cases: 4 of 5 done: 2 ok, 1 failed, 1 invalid" in text
    again = write_export(results, tmp_path / "again", format="card")
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in again]


def test_a_run_without_a_case_has_a_card(run, tmp_path):
    results = segbench.load(run("empty", [], planned=3))
    files = write_export(results, tmp_path / "out", format="card")
    card = json.loads(files[1].read_text())
    assert card["scores"]["means"] == []
    assert card["data"]["sha256"] is None
    assert "No case has scores." in files[0].read_text()
    assert "0 of 3 cases are done." in files[0].read_text()


def test_methods_whose_names_differ_in_signs_have_two_cards(run, tmp_path):
    results = segbench.load(run("../a b", [], folder="x"), run("a/b", [], folder="y"))
    files = write_export(results, tmp_path / "out", format="card")
    assert len({file.name.lower() for file in files}) == 4
    assert {file.parent for file in files} == {tmp_path / "out"}


def test_no_text_of_a_card_names_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "node17")
    info = AdapterInfo("ours", note="from /home/alice/w.pt", licence="see alice@node17:/home/alice")
    facts = manifest(info)
    call = replace(
        facts.calls[0],
        command="segbench run --data /home/alice/val",
        platform="Linux-6.1-node17-x86_64",
        worker={"versions": {}, "device": "node17 GPU"},
    )
    options = {"weights": "/home/alice/secret/w.pt"}
    write_manifest(tmp_path / "run", replace(facts, options=options, calls=(call,)))
    failed = case("CT_1", failed=(1,))
    write_case_result(tmp_path / "run", replace(failed, reason="no file /home/alice/secret/x"))
    files = write_export(segbench.load(tmp_path / "run"), tmp_path / "out", format="card")
    for file in files:
        text = file.read_text()
        assert "w.pt" in text
        assert not [word for word in ("alice", "node17", "/home", "secret") if word in text]
