"""The gaps of a meter on disk, and how a run is seen to have ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from powerpi import gaps
from powerpi.gaps import KEPT, Gap, Gaps, Session, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "house.gaps"


def test_without_a_file_there_is_no_gap(path: Path) -> None:
    assert Gaps(path, 0, gaps.UNKNOWN).all() == ()
    assert not path.exists()


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.write_text("written by a stranger\n")])
def test_a_file_that_cannot_be_read_is_set_aside_and_no_obstacle(path: Path, make: Callable[[Path], object]) -> None:
    make(path)
    kept = Gaps(path, 1000, gaps.POWER_CUT)
    assert kept.all() == (Gap(1000, None, "power_cut"),)
    kept.close(1300)
    kept.save()
    assert path.read_text() == "1000 1300 power_cut\n"
    assert len(list(path.parent.glob("house.gaps.damaged-*"))) == 1
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_gap_is_open_until_the_first_row_after_it_and_then_stays(path: Path) -> None:
    kept = Gaps(path, 1000, gaps.POWER_CUT)
    assert kept.all() == (Gap(1000, None, "power_cut"),)
    kept.close(1300)
    assert kept.all() == (Gap(1000, 1300, "power_cut"),)
    kept.save()
    assert Gaps(path, 0, gaps.UNKNOWN).all() == (Gap(1000, 1300, "power_cut"),)
    assert path.read_text() == "1000 1300 power_cut\n"


def test_a_row_without_a_gap_before_it_closes_nothing(path: Path) -> None:
    kept = Gaps(path, 0, gaps.STOPPED)
    kept.close(1300)
    assert (kept.all(), kept.fresh) == ((), [])


def test_what_could_not_be_saved_is_saved_later(tmp_path: Path) -> None:
    folder = tmp_path / "away"
    kept = Gaps(folder / "house.gaps", 1000, gaps.DISK)
    kept.close(1300)
    with pytest.raises(FileNotFoundError):
        kept.save()
    assert kept.fresh == [Gap(1000, 1300, "disk")]
    folder.mkdir()
    kept.save()
    assert (kept.fresh, read(kept.path)) == ([], ((Gap(1000, 1300, "disk"),), False))


def test_of_two_gaps_that_begin_together_the_later_one_counts(path: Path) -> None:
    """The first row after the first one never reached the disk."""
    for end, reason in ((1300, gaps.STOPPED), (2000, gaps.POWER_CUT)):
        kept = Gaps(path, 1000, reason)
        kept.close(end)
        kept.save()
    assert read(path) == ((Gap(1000, 2000, "power_cut"),), False)


def test_torn_and_foreign_lines_are_passed_over(path: Path) -> None:
    path.write_bytes(
        b"1000 1300 stopped\n\xff\xfe\nnonsense\n5 6 aliens\nx y stopped\n9 8 stopped\n1 9999999999999 stopped\n"
        b"2000 2300 stopped\n3000 33"
    )
    assert read(path) == ((Gap(1000, 1300, "stopped"), Gap(2000, 2300, "stopped")), True)


def test_a_torn_last_line_is_no_shorter_gap(path: Path) -> None:
    path.write_text("1000 1300 stopped")  # the line's end is missing: it may have been longer
    assert read(path) == ((), True)


def test_only_the_newest_gaps_are_kept(path: Path) -> None:
    path.write_text("".join(f"{1000 * n} {1000 * n + 10} stopped\n" for n in range(1, KEPT + 101)))
    kept, _ = read(path)
    assert (len(kept), kept[0].start, kept[-1].start) == (KEPT, 101_000, (KEPT + 100) * 1000)


# ---------------------------------------------------------------- how the last run ended


@pytest.fixture
def boot_id(tmp_path: Path) -> Path:
    path = tmp_path / "boot_id"
    path.write_text("aaaa\n")
    return path


def test_the_first_run_knows_nothing(tmp_path: Path, boot_id: Path) -> None:
    assert Session(tmp_path, boot_id).last_end() == gaps.UNKNOWN


@pytest.mark.parametrize("reason", [gaps.STOPPED, gaps.CLOCK_UNSET, gaps.DISK, gaps.ENDED])
def test_an_end_that_was_noted_is_known(tmp_path: Path, boot_id: Path, reason: str) -> None:
    session = Session(tmp_path, boot_id)
    session.begin()
    session.end(reason)
    boot_id.write_text("bbbb\n")
    assert Session(tmp_path, boot_id).last_end() == reason


def test_no_word_and_the_same_boot_is_a_process_that_ended(tmp_path: Path, boot_id: Path) -> None:
    Session(tmp_path, boot_id).begin()
    assert Session(tmp_path, boot_id).last_end() == gaps.ENDED


def test_no_word_and_another_boot_is_a_power_cut(tmp_path: Path, boot_id: Path) -> None:
    Session(tmp_path, boot_id).begin()
    boot_id.write_text("bbbb\n")
    assert Session(tmp_path, boot_id).last_end() == gaps.POWER_CUT


def test_an_old_end_does_not_stand_for_a_later_kill(tmp_path: Path, boot_id: Path) -> None:
    session = Session(tmp_path, boot_id)
    session.begin()
    session.end(gaps.STOPPED)
    session.begin()
    assert Session(tmp_path, boot_id).last_end() == gaps.ENDED


@pytest.mark.parametrize("content", [b"", b"aaaa", b"\xff\xff running", b"aaaa running twice", b"aaaa aliens"])
def test_a_damaged_file_means_unknown_or_a_kill_but_no_error(tmp_path: Path, boot_id: Path, content: bytes) -> None:
    (tmp_path / "session").write_bytes(content)
    assert Session(tmp_path, boot_id).last_end() in (gaps.UNKNOWN, gaps.POWER_CUT)


def test_this_machine_has_a_boot_id(tmp_path: Path) -> None:
    assert Session(tmp_path).last_end() == gaps.UNKNOWN
    Session(tmp_path).begin()
    assert Session(tmp_path).last_end() == gaps.ENDED
