"""`segbench.evaluate` with what a Python user has: objects, functions, classes, arrays."""

import functools
import json
import os
import signal
import threading
import time

import cloudpickle
import numpy as np
import pytest

import segbench
from segbench.core import AdapterInfo
from segbench.errors import AdapterError, CaseError, RunError
from segbench.runs.job import close_models
from segbench.runs.verify import verify


@pytest.fixture(autouse=True)
def no_model_is_left():
    yield
    close_models()


class Filled:
    """Fills its boxes with their labels."""

    info = AdapterInfo("filled", version="1", licence="MIT")

    def __init__(self, offset=0):
        self.offset, self.closed = offset, False

    def set_image(self, image, labels):
        self.image = image

    def predict(self, interactions):
        segmentation = np.zeros(self.image.voxels.shape, np.uint8)
        for box in interactions.boxes:
            segmentation[tuple(map(slice, box.low, box.high))] = box.label + self.offset
        return segmentation

    def close(self):
        self.closed = True


class NamesItsProcess(Filled):
    """Names the process it runs in."""

    def __init__(self, offset=0):
        super().__init__(offset)
        self.info = AdapterInfo(f"process {os.getpid()}")


def fill(image, interactions):
    """Return the boxes, filled."""
    adapter = Filled()
    adapter.set_image(image, ())
    return adapter.predict(interactions)


@pytest.fixture
def ask(data, tmp_path):
    """Return a function that evaluates a model on the small cases."""

    def evaluate(model, **given):
        return segbench.evaluate(model, data, **({"out": tmp_path / "run"} | given))

    return evaluate


def scores(result):
    return [[step.scores for step in case.steps] for case in result.case_results]


@pytest.mark.parametrize(
    "model",
    [Filled(), fill, functools.partial(fill), Filled, lambda: Filled(), NamesItsProcess],
    ids=["object", "function", "partial", "class", "factory", "class of this file"],
)
def test_every_kind_of_model_gives_the_same_scores(ask, model, tmp_path):
    expected = segbench.evaluate("boxfill", tmp_path / "val", out=tmp_path / "boxfill", case="CT_*")
    found = ask(model, case="CT_*")
    assert found.all_ok
    # the first step: boxfill also obeys clicks
    assert scores(found)[0][0] == scores(expected)[0][0]


def test_an_object_and_a_function_run_here_and_it_is_said(ask, tmp_path, capfd):
    model = NamesItsProcess()
    result = ask(model, case="CT_*")
    assert result.name == f"process {os.getpid()}"
    assert "NamesItsProcess runs in this process" in capfd.readouterr().err
    assert ask(fill, out=tmp_path / "other", case="CT_*").name == "fill"
    assert "fill runs in this process" in capfd.readouterr().err
    assert not model.closed  # it is the caller's


def test_a_class_runs_in_a_worker_of_its_own(ask):
    assert ask(NamesItsProcess, case="CT_*").name != f"process {os.getpid()}"
    close_models()


def test_a_class_runs_in_every_job(ask, tmp_path):
    one = ask(Filled)
    two = ask(Filled, out=tmp_path / "two", jobs=2)
    assert scores(one) == scores(two)
    assert two.all_ok


def test_a_class_gets_its_options_as_they_are_and_they_are_noted(ask):
    result = ask(Filled, option={"offset": 7}, case="CT_*")
    assert result.case_results[0].steps[0].unknown_labels == (8, 10)
    facts = json.loads((result.folder / "run.json").read_text())
    assert facts["options"] == {"offset": "7"}
    assert (facts["model"], facts["adapter_source_sha256"]) == ("python:Filled", None)


@pytest.mark.parametrize("model", [Filled(), fill, Filled])
def test_only_a_name_and_a_version_continue_such_a_run(ask, model):
    ask(model, limit=1)
    with pytest.raises(RunError, match="expected a new or empty folder for a model given as an"):
        ask(model)
    with pytest.raises(RunError, match="expected a new or empty folder"):
        ask(model, name="mine")
    result = ask(model, fresh=True, name="mine", version="1", limit=1)
    assert ask(model, name="mine", version="1").name == "mine"
    assert len(segbench.load(result.folder).cases) == 3


@pytest.mark.parametrize("change", [{"version": "2"}, {"name": "other"}])
def test_another_name_or_version_is_another_run(ask, change):
    ask(fill, name="mine", version="1", limit=1)
    with pytest.raises(RunError, match="expected the run that its run.json describes"):
        ask(fill, **({"name": "mine", "version": "1"} | change))


def test_the_run_of_an_object_is_not_that_of_a_file(ask):
    ask("boxfill", limit=1)
    with pytest.raises(RunError, match="model was 'boxfill', is now 'python:fill'"):
        ask(fill, name="boxfill", version="1")


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (3, {}, r"model: expected a name, a path, an adapter.*found 3"),
        (lambda image: image, {}, r"expected a name, a path, an adapter"),
        (Filled(), {"option": {"a": 1}}, "Filled: option: expected none for a model that is alr"),
        (fill, {"jobs": 2}, "jobs: expected 1 for a model in this process"),
        (Filled, {"python": "p"}, "python: expected none for Filled"),
        ("boxfill", {"version": "1"}, "version: expected none for an adapter's name"),
        (object, {}, "expected info to be an AdapterInfo, found no info"),
    ],
)
def test_what_cannot_be_a_model_is_refused_in_words(ask, model, given, message):
    with pytest.raises((AdapterError, RunError), match=message):
        ask(model, **given)


def test_a_factory_that_cannot_be_pickled_is_refused_with_a_way_out(ask):
    lock = threading.Lock()

    def factory():
        with lock:
            return Filled()

    with pytest.raises(AdapterError, match="in_process=True runs it in this process"):
        ask(factory)
    assert ask(factory, in_process=True, case="CT_*").all_ok


def test_a_model_of_the_caller_cannot_change_the_cases(ask, data, tmp_path, make_case):
    case = make_case("CT_Toy_001")

    def scribble(image, interactions):
        image.voxels[:] = 7
        interactions.previous_segmentation[:] = 1
        return interactions.previous_segmentation

    before = case.image.voxels.copy()
    segbench.evaluate(scribble, case, out=tmp_path / "one")
    np.testing.assert_array_equal(case.image.voxels, before)


def test_cases_made_of_arrays_give_the_scores_of_their_files(ask, data, make_case, tmp_path):
    by_file = ask("boxfill")
    cases = [
        make_case(name, with_boxes=name != "MR_Toy_002", seed=number)
        for number, name in enumerate(["CT_Toy_001", "MR_Toy_002", "PET_Toy_003"])
    ]
    by_arrays = segbench.evaluate("boxfill", cases, out=tmp_path / "arrays")
    assert scores(by_arrays) == scores(by_file)
    data_facts = json.loads((tmp_path / "arrays" / "run.json").read_text())["data"]
    assert (data_facts["path"], data_facts["cases"]) == ("", 3)
    assert segbench.evaluate("boxfill", cases, out=tmp_path / "arrays").all_ok  # continued
    changed = [make_case("CT_Toy_001", seed=9), *cases[1:]]
    with pytest.raises(RunError, match=r"CT_Toy_001 \(arrays\): expected what"):
        segbench.evaluate("boxfill", changed, out=tmp_path / "arrays")
    checked = verify(tmp_path / "arrays", data)
    assert checked.checks
    assert not checked.different
    with pytest.raises(RunError, match="found that they were given as arrays"):
        verify(tmp_path / "arrays")


def test_cases_made_of_arrays_go_to_several_jobs(make_case, tmp_path):
    cases = [make_case(f"CT_Toy_00{number}", seed=number) for number in range(3)]
    assert segbench.evaluate("boxfill", cases, out=tmp_path / "run", jobs=2).all_ok


def test_data_may_be_a_file_or_a_list_of_files(data, tmp_path):
    files = sorted(data.glob("*.npz"))
    one = segbench.evaluate("boxfill", files[0], out=tmp_path / "one")
    two = segbench.evaluate("boxfill", map(str, files[1:]), out=tmp_path / "two")
    assert [case.case for case in one.case_results] == ["CT_Toy_001"]
    assert [case.case for case in two.case_results] == ["MR_Toy_002", "PET_Toy_003"]
    facts = json.loads((two.folder / "run.json").read_text())["data"]
    assert (facts["path"], facts["files"]) == (str(data), [str(file) for file in files[1:]])
    assert not verify(two.folder).different


@pytest.mark.parametrize("mixed", [[], [3], ["val", 3]])
def test_other_data_is_refused_in_words(mixed, tmp_path):
    with pytest.raises(CaseError, match="data: expected a folder, files, or Case objects, found"):
        segbench.evaluate("boxfill", mixed, out=tmp_path / "run")


def test_two_arrays_of_one_name_are_refused(make_case, tmp_path):
    with pytest.raises(CaseError, match="expected names that differ, found 2 cases with 1"):
        segbench.evaluate("boxfill", [make_case("CT_1"), make_case("CT_1")], out=tmp_path / "run")


def test_a_result_shows_itself_in_a_few_lines(ask, data):
    (data / "US_<b>_4.npz").write_bytes(b"not a zip archive")
    result = ask("boxfill")
    lines = repr(result).splitlines()
    assert lines[0] == f"run boxfill in {result.folder}"
    assert lines[1] == "4 cases: 3 ok, 0 failed, 1 invalid"
    assert lines[2].startswith("means of 3 scored cases: DSC AUC ")
    assert lines[3] == "AUC: at most 4"
    assert lines[4].startswith("invalid: US_<b>_4: US_<b>_4.npz: expected an .npz (zip) archive")
    assert len(repr(result)) < 600
    html = result._repr_html_()
    assert str(result.folder) in html
    assert "invalid: US_&lt;b&gt;_4: " in html
    assert "<p>AUC: at most 4</p>" in html
    means = segbench.load(result.folder).cases.query("scored")["dsc_auc"].mean()
    assert f"<td>{means:.4f}</td>" in html


def test_many_failed_cases_stay_a_few_lines(ask):
    def confused(image, interactions):
        raise ValueError("no" * 5000)

    lines = repr(ask(confused)).splitlines()
    assert len(lines) == 6
    assert lines[4].startswith("failed: 2 cases: step 0: raised ValueError")
    assert lines[4].endswith("(all of it in run.log): CT_Toy_001, PET_Toy_003")
    assert len(repr(ask(confused, fresh=True))) < 5000


@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        ("n_jobs", r"evaluate: `n_jobs`: did you mean `jobs`\?"),
        ("num_workers", r"did you mean `jobs`\?"),
        ("output_dir", r"did you mean `out`\?"),
        ("refernces", r"did you mean `references`\?"),
        ("overwrite", r"did you mean `fresh`\?"),
        ("weights", r"options of the model go into `option`: option=\{'weights': \.\.\.\}"),
        ("device", r"options of the model go into `option`: option=\{'device': \.\.\.\}"),
        ("colour", r"`colour`: no such keyword; known: model, data, out"),
    ],
)
def test_a_wrong_keyword_is_answered_with_the_right_one(ask, keyword, message):
    with pytest.raises(TypeError, match=message):
        ask("boxfill", **{keyword: 2})


def test_other_public_functions_answer_wrong_keywords_too(tmp_path):
    with pytest.raises(TypeError, match=r"load: `failure`: did you mean `failures`\?"):
        segbench.load(tmp_path, failure="zero")
    with pytest.raises(TypeError, match=r"score: `exact`: did you mean `exact_sum`\?"):
        segbench.score(np.zeros((1, 1, 1), int), np.zeros((1, 1, 1), int), (1, 1, 1), exact=True)


LATE = """
import time
from pathlib import Path
import numpy as np
from segbench.core import AdapterInfo


class Late:
    info = AdapterInfo("late")
    asked = Path(__file__).with_name("asked")

    def set_image(self, image, labels):
        self.shape = image.voxels.shape

    def predict(self, interactions):
        if interactions.step == 2 and not self.asked.exists():
            self.asked.touch()
            time.sleep(60)
        return np.zeros(self.shape, np.uint8)


make_adapter = Late
"""


@pytest.fixture
def interrupts_can_be_caught():
    """A shell starts what runs in its background with this signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts_can_be_caught")
def test_an_interrupted_cell_does_not_spoil_the_next_result(data, tmp_path):
    """The worker of the first call still owes a reply; the second call must not take it."""
    file = tmp_path / "late.py"
    file.write_text(LATE)

    def interrupt():
        while not (tmp_path / "asked").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        segbench.evaluate(file, data, out=tmp_path / "run")
    assert segbench.evaluate(file, data, out=tmp_path / "run").all_ok


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda: None, "lambda to return the adapter, found None"),
        (lambda: object(), "expected info to be an AdapterInfo, found no info"),
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
@pytest.mark.parametrize("in_process", [True, False])
def test_a_factory_that_makes_no_adapter_is_refused_before_any_case(
    ask, factory, message, in_process, tmp_path
):
    with pytest.raises(AdapterError, match=message) as refusal:
        ask(factory, in_process=in_process)
    assert "make_adapter" not in str(refusal.value)
    assert ".factory" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


class Loaded:
    """A model with options, one of which has no default."""

    def __init__(self, weights, device="auto"):
        raise AssertionError("called although its options are wrong")


@pytest.mark.parametrize("model", [Loaded, lambda weights, device="auto": Loaded(weights)])
@pytest.mark.parametrize("in_process", [True, False])
@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            {"weight": 1},
            "expected those of weights, device, found 'weight'; did you mean 'weights'?",
        ),
        (
            {"device": "cpu"},
            "expected a value for weights, found only device; option={'weights': ...}",
        ),
    ],
)
def test_options_of_a_class_or_factory_are_checked_before_anything_starts(
    ask, model, in_process, option, message, monkeypatch
):
    monkeypatch.setattr(cloudpickle, "dumps", None)  # what a worker gets is not made
    with pytest.raises(AdapterError) as refusal:
        ask(model, option=option, in_process=in_process)
    assert str(refusal.value) == f"{model.__name__.strip('<>')}: option: {message}"


def test_a_class_without_its_option_is_told_which(ask):
    with pytest.raises(AdapterError, match="Loaded: option: expected a value for weights, found n"):
        ask(Loaded)


def needs_two(weights, device):
    return Filled()


def needs_a_keyword(image, interactions, *, temperature):
    return fill(image, interactions)


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (
            needs_two,
            {"option": {"weights": 1}},
            "needs_two: option: expected a value for device, found only weights; option=",
        ),
        (needs_a_keyword, {}, "model: expected a name, a path, an adapter"),
        (Filled, {"version": 2}, "version: expected text, found 2"),
        ("boxfill", {"name": 3}, "name: expected text, found 3"),
        ("boxfill", {"option": "device=cpu"}, "option: expected a dictionary"),
        ("boxfill", {"step_timeout": None}, "step_timeout: expected seconds above 0, found None"),
        ("boxfill", {"time_limit": "90"}, "time_limit: expected seconds above 0, found 90"),
    ],
)
def test_values_of_other_types_are_refused_in_words(ask, model, given, message):
    with pytest.raises((AdapterError, RunError), match=message):
        ask(model, **given)


def test_references_are_not_taken_for_cases_made_of_arrays(make_case, tmp_path):
    with pytest.raises(RunError, match="references: expected none for cases made of arrays"):
        segbench.evaluate("boxfill", make_case("CT_1"), references=tmp_path, out=tmp_path / "run")


@pytest.mark.parametrize("place", ["nowhere", "nowhere.npz"])
def test_data_that_is_not_there_is_named(place, tmp_path):
    with pytest.raises(
        CaseError, match=f"{place}: expected a folder with .npz cases or an .npz fi"
    ):
        segbench.evaluate("boxfill", tmp_path / place, out=tmp_path / "run")


def test_relative_and_absolute_files_may_be_mixed(data, tmp_path):
    files = sorted(data.glob("*.npz"))
    mixed = [os.path.relpath(files[0]), files[1]]
    result = segbench.evaluate("boxfill", mixed, out=tmp_path / "run")
    assert not verify(result.folder).different


def test_the_frames_have_the_policy_of_their_result(ask):
    def fails_once(image, interactions):
        if interactions.step == 3:
            raise ValueError("no")
        return fill(image, interactions)

    result = ask(fails_once, failures="carry_forward", case="CT_*")
    mean = result.frames().cases["dsc_auc"].mean()
    assert f"DSC AUC {mean:.4f}" in repr(result)
    assert result.frames(failures="zero").cases["dsc_auc"].mean() < mean


def test_a_name_does_not_lead_out_of_the_runs_folder(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = segbench.evaluate(fill, data, name="../../my run", case="CT_*")
    assert result.folder.resolve() == tmp_path / "runs" / "my-run"


def test_a_case_shows_itself_in_one_line(make_case):
    shown = repr(make_case("CT_1"))
    assert shown.startswith("Case('CT_1', Image(uint8 (10, 20, 31), spacing=(3.0, 1.0, 1.0))")
    assert "\n" not in shown
