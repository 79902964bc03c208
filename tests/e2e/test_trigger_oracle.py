"""hearth's triggers against Quartz's own: random triggers of each kind live with Quartz's classes (QuartzTriggers.java), fire,
misfire with each instruction, and go on; replay_triggers, built beside the unit tests, lives the same lives and compares every step."""

import subprocess

import pytest

import harness
import quartz

REPLAY = harness.BINARY.parent / "tests" / "unit" / "replay_triggers"
LIVES = 4000
SEED = 20261121


def test_random_triggers_live_as_they_do_in_quartz(tmp_path):
    try:
        lives = quartz.run(harness.HERE / "QuartzTriggers.java", tmp_path, str(LIVES), str(SEED))
    except quartz.Missing as missing:
        pytest.skip(f"no Quartz to compare with: {missing}")
    told = subprocess.run([REPLAY], input=lives, check=True, capture_output=True, text=True).stdout
    assert told == f"{LIVES}\n"
