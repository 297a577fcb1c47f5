"""What is found in folders, lists and data sets."""

import json

import pytest

from segbench.data.convert.layouts import find_scans
from segbench.data.convert.scan import Stated, case_name, modality_of
from segbench.errors import CaseError

CT = Stated(modality="CT")


def touch(folder, *names):
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    return folder


def table(found):
    return [(scan.name, scan.image.name, scan.labels.name) for scan in found.scans]


def test_one_image_and_its_labels(tmp_path):
    touch(tmp_path, "a.nii.gz", "b.nii.gz")
    found = find_scans((tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"), CT)
    assert table(found) == [("CT_a", "a.nii.gz", "b.nii.gz")]
    named = find_scans((tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"), Stated("CT", name="x"))
    assert named.scans[0].name == "x"


@pytest.mark.parametrize(
    ("image", "labels", "name"),
    [
        ("a1.nii.gz", "a1.nii.gz", "a1"),
        ("a1.mha", "a1.seg.nrrd", "a1"),
        ("a1_image.nii", "a1_label.nii", "a1_image"),
        ("volume-3.nii", "segmentation-3.nii", "volume-3"),
        ("img0007.nii.gz", "label0007.nii.gz", "img0007"),
        ("liver_3_0000.nii.gz", "liver_3.nii.gz", "liver_3"),
        ("ct_1.nrrd", "ct_1-mask.nrrd", "ct_1"),
    ],
)
def test_two_folders_are_paired_by_name(tmp_path, image, labels, name):
    touch(tmp_path, f"i/{image}", f"l/{labels}", "i/alone_9.nii", "l/other.nii", "i/._a1.nii")
    found = find_scans((tmp_path / "i", tmp_path / "l"), CT)
    assert table(found) == [(case_name(name, modality="CT", dataset=""), image, labels)]
    assert found.unpaired == (
        "alone_9.nii: no labels of that name",
        "other.nii: no image of that name",
    )


def test_a_channel_is_chosen_by_the_number_in_the_name(tmp_path):
    touch(tmp_path, "i/a_0000.nii", "i/a_0001.nii", "l/a.nii")
    with pytest.raises(CaseError, match=r"a channel with --channel, one of 0, 1, found none"):
        find_scans((tmp_path / "i", tmp_path / "l"), CT)
    found = find_scans((tmp_path / "i", tmp_path / "l"), Stated("CT", channel=1))
    assert table(found) == [("CT_a", "a_0001.nii", "a.nii")]
    assert found.scans[0].channel is None  # the file has no other


def test_names_that_fit_twice_are_refused(tmp_path):
    touch(tmp_path, "i/a.nii", "i/a.mha", "l/a.nii")
    with pytest.raises(CaseError, match=r"a: expected one file of that name, found a\.mha, a\.nii"):
        find_scans((tmp_path / "i", tmp_path / "l"), CT)


def test_a_channel_in_no_name_is_one_in_the_file(tmp_path):
    touch(tmp_path, "i/a.nii", "l/a.nii", "i/b_image.nii", "l/b_label.nii")
    found = find_scans((tmp_path / "i", tmp_path / "l"), Stated("CT", channel=1))
    assert [scan.channel for scan in found.scans] == [1, 1]


def test_a_suffix_of_bids_is_for_bids_only(tmp_path):
    touch(tmp_path, "i/a.nii", "l/a.nii")
    with pytest.raises(CaseError, match=r"layout of BIDS, found two folders.*; leave it out"):
        find_scans((tmp_path / "i", tmp_path / "l"), Stated("CT", bids_suffix="T1w"))


def test_files_that_nibabel_can_turn_into_nifti_are_named_with_how(tmp_path):
    touch(tmp_path, "i/a.nii", "i/b.mgz", "l/a.nii", "l/b.hdr", "l/b.img", "l/notes.txt")
    found = find_scans((tmp_path / "i", tmp_path / "l"), CT)
    assert [text.partition(":")[0] for text in found.unpaired] == ["b.mgz", "b.hdr", "b.img"]
    assert found.unpaired[0].endswith("nibabel.save(nibabel.load('b.mgz'), 'b.nii.gz')")


def test_no_pair_is_an_error(tmp_path):
    touch(tmp_path, "i/a.nii", "l/b.nii")
    with pytest.raises(CaseError, match="found no pair; a.nii: no labels of that name"):
        find_scans((tmp_path / "i", tmp_path / "l"), CT)


def nnunet(folder, **facts):
    touch(folder, "imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz")
    (folder / "dataset.json").write_text(json.dumps(facts))
    return folder


def test_nnunet(tmp_path):
    folder = nnunet(
        tmp_path / "Dataset003_Brain",
        channel_names={"0": "T1", "1": "FLAIR"},
        labels={"background": 0, "tumor": 1},
    )
    with pytest.raises(CaseError, match=r"--channel: 0 \(T1\), 1 \(FLAIR\); found none"):
        find_scans((folder,), Stated())
    found = find_scans((folder,), Stated(channel=1))
    assert table(found) == [("MR_Brain_a", "a_0001.nii.gz", "a.nii.gz")]
    assert found.scans[0].label_names == {"tumor": (1,)}
    assert found.scans[0].guessed == ("modality MR, from the channel 'FLAIR' in dataset.json",)
    assert "nnU-Net" in found.layout


def test_msd(tmp_path):
    folder = touch(tmp_path / "Task09", "imagesTr/spleen_2.nii.gz", "labelsTr/spleen_2.nii.gz")
    touch(folder, "imagesTr/._spleen_2.nii.gz", "imagesTs/spleen_1.nii.gz")
    facts = {
        "name": "Spleen",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "spleen"},
    }
    (folder / "dataset.json").write_text(json.dumps(facts))
    found = find_scans((folder,), Stated())
    assert table(found) == [("CT_Spleen_spleen_2", "spleen_2.nii.gz", "spleen_2.nii.gz")]
    assert found.scans[0].dataset == "Spleen"
    assert found.scans[0].label_names == {"spleen": (1,)}
    assert "Decathlon" in found.layout


def test_an_unknown_channel_name_needs_a_modality(tmp_path):
    folder = touch(tmp_path / "Dataset1_X", "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    (folder / "dataset.json").write_text(json.dumps({"channel_names": {"0": "noNorm"}}))
    with pytest.raises(CaseError, match="found 'noNorm'; state it with --modality"):
        find_scans((folder,), Stated())
    assert find_scans((folder,), CT).scans[0].modality == "CT"


def test_bids(tmp_path):
    folder = touch(
        tmp_path / "ms",
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_FLAIR.nii.gz",
        "sub-02/anat/sub-02_FLAIR.nii.gz",
        "derivatives/manual/sub-01/anat/sub-01_desc-lesion_dseg.nii.gz",
    )
    (folder / "derivatives/manual/sub-01/anat/sub-01_desc-lesion_dseg.tsv").write_text(
        "index\tname\n1\tlesion\n"
    )
    with pytest.raises(CaseError, match=r"found sub-01_FLAIR.*choose with --bids-suffix"):
        find_scans((folder,), Stated())
    found = find_scans((folder,), Stated(bids_suffix="FLAIR"))
    (scan,) = found.scans
    assert (scan.name, scan.modality, scan.patient) == ("MR_ms_sub-01_FLAIR", "MR", "sub-01")
    assert scan.label_names == {"lesion": (1,)}
    assert found.unpaired == ("sub-02_FLAIR.nii.gz: no label map",)
    other = touch(folder, "derivatives/auto/sub-01/anat/sub-01_dseg.nii.gz")
    with pytest.raises(CaseError, match="expected one label map"):
        find_scans((other,), Stated(bids_suffix="FLAIR"))
    chosen = find_scans((folder, folder / "derivatives/auto"), Stated(bids_suffix="FLAIR"))
    assert chosen.scans[0].labels.name == "sub-01_dseg.nii.gz"


ROWS = [
    {"image": "i/a.nii", "labels": "l/a.nii", "patient": "p1", "modality": "MRI", "channel": 1},
    {"image": "i/b.nii", "labels": "l/b.nii", "name": "CT_b", "dataset": "D", "modality": ""},
]


@pytest.mark.parametrize("kind", ["csv", "json", "yaml"])
def test_a_list_has_a_row_for_each_scan(tmp_path, kind):
    text = json.dumps(ROWS)
    if kind == "csv":
        text = "image,labels,name,patient,dataset,modality,channel\n"
        text += "i/a.nii,l/a.nii,,p1,,MRI,1\ni/b.nii,l/b.nii,CT_b,,D,,\n"
    file = tmp_path / f"list.{kind}"
    file.write_text(text)
    first, second = find_scans((file,), CT).scans
    assert (first.name, first.modality, first.patient, first.channel) == ("MR_a", "MR", "p1", 1)
    assert first.image == tmp_path / "i/a.nii"
    assert (second.name, second.modality, second.dataset) == ("CT_b", "CT", "D")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("yaml", "- {{image: i.nii, labels: l.nii, patient: {0}, dataset: }}\n"),
        ("csv", "image,labels,patient,dataset\ni.nii,l.nii,{0},\n"),
    ],
)
@pytest.mark.parametrize("patient", ["007", "1_0", "1:30", "0x1F", "no", "1.50", "2024-01-01"])
def test_a_list_is_text(tmp_path, kind, text, patient):
    (tmp_path / f"list.{kind}").write_text(text.format(patient))
    (scan,) = find_scans((tmp_path / f"list.{kind}",), CT).scans
    assert (scan.patient, scan.dataset) == (patient, "")


def test_numbers_of_a_json_list_are_as_they_are_written(tmp_path):
    text = '[{"image": "i.nii", "labels": "l.nii", "patient": 1.50, "dataset": null}]'
    (tmp_path / "list.json").write_text(text)
    (scan,) = find_scans((tmp_path / "list.json",), CT).scans
    assert (scan.patient, scan.dataset) == ("1.50", "")


def test_a_yaml_list_may_repeat_what_rows_share(tmp_path):
    text = "- &first {image: a.nii, labels: b.nii, patient: 01}\n- {<<: *first, image: c.nii}\n"
    (tmp_path / "list.yaml").write_text(text)
    scans = find_scans((tmp_path / "list.yaml",), CT).scans
    assert [(scan.image.name, scan.patient) for scan in scans] == [("a.nii", "01"), ("c.nii", "01")]


def test_row_numbers_that_pandas_writes_are_left_out(tmp_path):
    (tmp_path / "list.csv").write_text(",image,labels\n0,a.nii,b.nii\n\n1,c.nii,d.nii\n")
    assert len(find_scans((tmp_path / "list.csv",), CT).scans) == 2


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("image,labels,age\na,b,3\n", "row 1: expected columns image, labels.*found 'age'"),
        ("image,labels\na,\n", "row 1: expected a path as 'labels', found none"),
        ("image,labels,channel\na,b,x\n", "expected a channel as a number"),
        ("image,labels\n", "expected a row for each scan, found none"),
        ("image,labels\na,b\na,b,c\n", "list.csv: row 2: expected 2 fields, found 3; put a text"),
        ("image,labels,image\na,b,c\n", "expected each column once, found image, labels, image"),
        ("image,labels,name\na.nii,b.nii,x\nc.nii,d.nii,X\n", "expected a case name for each"),
        ("image,labels,name\na.nii,b.nii,../x\n", "expected a case name of letters, digits"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(tmp_path, text, match):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(CaseError, match=match):
        find_scans((tmp_path / "list.csv",), CT)


@pytest.mark.parametrize(
    ("patient", "found"), [("true", "True"), ("[1]", r"\['1'\]"), ('{"a": 1}', "{'a': '1'}")]
)
def test_a_field_that_is_no_text_is_refused(tmp_path, patient, found):
    text = f'[{{"image": "i.nii", "labels": "l.nii", "patient": {patient}}}]'
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(CaseError, match=f"row 1: patient: expected a text or a number.*{found}"):
        find_scans((tmp_path / "list.json",), CT)


def test_what_is_nothing_of_all_this_is_named(tmp_path):
    touch(tmp_path, "a.nii", "d/x.nii", "e/sub/x.nii")
    for sources, match in [
        ((tmp_path / "a.nii",), "found one file; name the labels, too"),
        ((tmp_path / "d",), "found a folder of another layout"),
        ((tmp_path / "d", tmp_path / "a.nii"), "expected a folder of labels"),
        ((tmp_path / "a.nii",) * 3, "found 3 paths"),
        ((tmp_path / "no", tmp_path / "d"), "expected a file or folder, found none"),
    ]:
        with pytest.raises(CaseError, match=match):
            find_scans(sources, CT)


def test_only_dicom_says_its_modality(tmp_path):
    touch(tmp_path, "a.nii", "b.nii")
    with pytest.raises(CaseError, match=r"a\.nii: expected a modality.*--modality CT"):
        find_scans((tmp_path / "a.nii", tmp_path / "b.nii"), Stated())


@pytest.mark.parametrize(
    ("stem", "modality", "dataset", "name"),
    [
        ("a", "CT", "", "CT_a"),
        ("CT_a", "CT", "", "CT_a"),
        ("a b(2)", "MR", "My set", "MR_My-set_a-b-2"),
        ("CT_AMOS_1", "CT", "AMOS", "CT_AMOS_1"),
    ],
)
def test_a_name_begins_with_modality_and_data_set(stem, modality, dataset, name):
    assert case_name(stem, modality=modality, dataset=dataset) == name


def test_words_for_modalities():
    words = {"MRI": "MR", "T1w": "MR", "ultrasound": "US", "ct": "CT", "T1-weighted": "MR", "x": ""}
    assert {word: modality_of(word) for word in words} == words
