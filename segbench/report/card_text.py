"""The card of a run as Markdown; it prints what the JSON has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from segbench.messages import counted
from segbench.report.frames import MEASURES
from segbench.report.tables.render import escape_markdown

NOT_STATED = "not stated"


def card_markdown(card: Mapping[str, Any]) -> str:
    """Return one page: the headline, what was run, on what, failures, time, use and limits."""
    sections = {
        "Scores": _scores(card),
        "Method": _facts(_method(card)),
        "Protocol and data": _facts(_protocol(card)),
        "Failures": _facts(_failures(card)) + _items(_reasons(card)),
        "Time, hardware and software": _facts(_time(card))
        + _items(map(_machine, card["hardware"]))
        + _items(map(_versions, card["software"])),
        "Intended use": escape_markdown(card["intended_use"]) + "\n",
        "Limits": _items(card["limits"]),
    }
    title = f"# Run card: {escape_markdown(card['method'])}\n"
    return "\n".join([title, *(f"## {name}\n\n{text}" for name, text in sections.items())])


def _scores(card: Mapping[str, Any]) -> str:
    scores, header = card["scores"], "| measure | mean over | n cases | n patients | mean | {} |"
    interval = f"{100 * scores['confidence']:g} % interval"
    lines = [header.format(interval), "| --- | --- | ---: | ---: | ---: | --- |"]
    lines += [
        f"| {MEASURES[row['measure']]} | {_mean_over(row)} | {row['n_cases']} "
        f"| {row['n_patients']} | {row['mean']:.4f} | {_interval(row)} |"
        for row in scores["means"]
    ]
    policy = card["policy"]
    limit = "no time limit" if policy["time_limit"] is None else f"{policy['time_limit']:g} s/label"
    failures = {
        "zero": "A failed step scores 0",
        "carry_forward": "A failed step has the score of the last prediction",
    }[policy["failures"]]
    note = (
        "AUC: area under the score over the clicks. Final: after the last click. "
        f"{failures}; {limit}. Bootstrap over patients, {scores['draws']} draws, "
        f"seed {scores['seed']}."
    )
    return "\n".join([*lines, "", note]) + "\n"


def _mean_over(row: Mapping[str, Any]) -> str:
    n_modalities = row["n_modalities"]
    if row["average"] == "micro":
        return "cases"
    return counted(n_modalities, "modality")


def _interval(row: Mapping[str, Any]) -> str:
    return "none" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"


def _method(card: Mapping[str, Any]) -> dict[str, Any]:
    adapter = card["adapter"]
    options = ", ".join(f"{key}={text}" for key, text in adapter["options"].items())
    return {
        "Adapter": f"{adapter['name']}, version {adapter['version']}",
        "Note": adapter["note"] or None,
        "Options": options or "none",
        "Licence": adapter["licence"],
        "Weights sha256": adapter["weights_sha256"] or NOT_STATED,
        "Source sha256": adapter["source_sha256"],
        "Prompts used": ", ".join(adapter["prompts"]) or "none",
        "Deterministic": _yes_no(adapter["deterministic"]),
        "Sees the reference": _yes_no(adapter["sees_reference"]),
    }


def _protocol(card: Mapping[str, Any]) -> dict[str, Any]:
    protocol, data = card["protocol"], card["data"]
    modalities = ", ".join(f"{name} {n}" for name, n in data["cases_by_modality"].items())
    return {
        "Protocol": f"{protocol['name']} version {protocol['version']}, hash {protocol['hash']}",
        "Boxes": "withheld" if card["boxes"] == "none" else "as the cases have them",
        "Data": f"{data['name']}, {counted(data['n_cases'], 'case')}",
        "Cases done by modality": modalities or "none",
        "Datasets": ", ".join(data["datasets"]) or NOT_STATED,
        f"Data sha256, of {counted(data['n_cases_in_sha256'], 'case')}": data["sha256"] or "none",
    }


def _failures(card: Mapping[str, Any]) -> dict[str, Any]:
    failures = card["failures"]
    status = ", ".join(f"{failures[f'n_{name}']} {name}" for name in ("ok", "failed", "invalid"))
    return {
        "Cases": f"{failures['n_done']} of {card['data']['n_cases']} done: {status}",
        "Cases scored": failures["n_scored"],
        "Failed steps": failures["failed_steps"],
        "Cases over the time limit": failures["n_over_time"],
        "Steps with unknown labels": failures["steps_with_unknown_labels"],
    }


def _reasons(card: Mapping[str, Any]) -> list[str]:
    reasons = card["failures"]["reasons"].items()
    return [f"{counted(n, 'case')}: {reason}" for reason, n in reasons]


def _time(card: Mapping[str, Any]) -> dict[str, Any]:
    time = card["time"]
    return {
        "Seconds of the model, all cases": _number(time["seconds"]),
        "Seconds per case, mean": _number(time["mean_seconds_per_case"]),
        "Seconds per step, median": _number(time["median_seconds_per_step"]),
        "Memory of the model, peak": f"{_number(time['max_peak_mb'], 0)} MB",
    }


def _machine(hardware: Mapping[str, Any]) -> str:
    return (
        f"Hardware: device {hardware['device'] or NOT_STATED}, "
        f"processors {hardware['processors'] or NOT_STATED}, jobs {hardware['jobs']}, "
        f"threads of each {hardware['threads'] or NOT_STATED}, {hardware['platform']}"
    )


def _versions(software: Mapping[str, Any]) -> str:
    groups = (software["segbench"], software["worker"])
    versions = (", ".join(f"{name} {text}" for name, text in each.items()) for each in groups)
    git = software["git"]
    changed = " with changes" if git and git["changed"] else ""
    commit = f", commit {git['commit']}{changed}" if git else ""
    return f"Software: {'; of the model: '.join(filter(None, versions))}{commit}"


def _number(value: float | None, digits: int = 2) -> str:
    return NOT_STATED if value is None else f"{value:.{digits}f}"


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def _facts(facts: Mapping[str, Any]) -> str:
    return _items(f"{name}: {value}" for name, value in facts.items() if value is not None)


def _items(lines: Iterable[str]) -> str:
    return "".join(f"- {escape_markdown(line)}\n" for line in lines)
