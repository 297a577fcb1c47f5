"""Tab completion, as a shell asks for it."""

import os
import shutil
import subprocess
import sys

import pytest

PROGRAM = "import sys; sys.argv = ['segbench']; from segbench.cli import cli; cli()"


def complete(*words, shell="bash", folder="."):
    """Return what the shell is told to offer for the last word."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    line = " ".join(["segbench", *words])
    env |= {"_SEGBENCH_COMPLETE": f"{shell}_complete", "COMP_WORDS": line}
    env |= {"COMP_CWORD": words[-1] if shell == "fish" else str(len(words))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, cwd=folder, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_commands_and_options_are_completed():
    assert complete("re") == ["plain,report", "plain,rescore"]
    assert complete("models", "f") == ["plain,fetch"]
    assert complete("run", "--mod") == ["plain,--model"]
    assert complete("export", "runs", "--format", "ca") == ["plain,card"]


@pytest.mark.parametrize(
    "words", [("run", "--model"), ("predict", "--model"), ("models", "show"), ("train",)]
)
def test_adapters_are_completed_by_name(words):
    assert complete(*words, "bo") == ["file,bo", "plain,boxfill"]


def test_adapters_are_completed_by_path(tmp_path):
    (tmp_path / "boxes.py").touch()
    (tmp_path / "box_model").mkdir()
    (tmp_path / "box_model" / "__init__.py").touch()
    (tmp_path / "boxes.txt").touch()
    found = complete("run", "--model", "bo", folder=tmp_path)
    assert found == ["file,bo", "plain,boxfill", "plain,box_model", "plain,boxes.py"]
    assert complete("run", "--model", "sub/b", folder=tmp_path) == ["file,sub/b"]


def test_paths_are_completed_by_the_shell_also_after_a_mistake():
    assert complete("run", "--data", "v") == ["file,v"]
    assert complete("run", "--references", "v") == ["dir,v"]
    assert complete("run", "--jobs", "0", "--references", "v") == ["dir,v"]
    assert complete("run", "--data", "a", "--data", "b", "--jo") == ["plain,--jobs"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_the_same_names(shell):
    assert {"ellipsoid", "empty"} <= {
        word.removeprefix("plain,") for word in complete("run", "--model", "e", shell=shell)
    }


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_with_the_script_of_the_documentation(tmp_path):
    program = tmp_path / "segbench"
    program.write_text(f"#!{sys.executable}\nfrom segbench.cli import cli\ncli()\n")
    program.chmod(0o755)
    script = """
    eval "$(_SEGBENCH_COMPLETE=bash_source segbench)" || exit
    compopt() { :; }  # works only while a key is pressed
    COMP_WORDS=(segbench run --model rand) COMP_CWORD=3
    _segbench_completion segbench
    echo "${COMPREPLY[@]}"
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    env["PATH"] = f"{tmp_path}{os.pathsep}{env['PATH']}"
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("random_walker\n", "")
