"""Who may log in, how often scrypt is computed for it, and what attackers get; the clock is moved by hand."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import queue
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import HandClock
from hypothesis import given, settings
from hypothesis import strategies as st

from powerpi import texts
from powerpi.errors import AnsweredError
from powerpi.logins import Desk, Logins, LoginSlowError, LoginWantedError, basic, challenge
from powerpi.passwords import PasswordHash, hashed, read_hash

LOW = 10  # log2 of N: the least that is allowed, for speed
JAN, EVA = "Zähler:1", "tariff"
KNOWN = {"jan": read_hash(hashed(JAN, LOW)), "eva": read_hash(hashed(EVA, LOW))}
PATIENCE = 30  # seconds, until a thread that should come to its end is given up
REAL_SCRYPT = hashlib.scrypt


class Scrypts:
    """Counts the real scrypts; while `hold` is called for, each stops until it is let go."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, int, int, int]] = []  # n, r, p, bytes of salt and key
        self.running = self.most_running = 0
        self.entered = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()
        self._lock = threading.Lock()

    def __call__(self, password: bytes, **given: Any) -> bytes:
        with self._lock:
            self.asked.append((given["n"], given["r"], given["p"], len(given["salt"]), given["dklen"]))
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        self.entered.release()
        assert self.go.wait(PATIENCE)
        try:
            return REAL_SCRYPT(password, **given)
        finally:
            with self._lock:
                self.running -= 1

    @property
    def number(self) -> int:
        return len(self.asked)


@pytest.fixture
def scrypts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scrypts]:
    scrypts = Scrypts()
    monkeypatch.setattr(hashlib, "scrypt", scrypts)
    yield scrypts
    scrypts.go.set()


@pytest.fixture
def logins(clock: HandClock) -> Logins:
    return Logins(KNOWN, clock.monotonic)


def header(pair: bytes) -> str:
    return "Basic " + base64.b64encode(pair).decode()


def outcome(logins: Logins, value: str) -> str | int:
    """The name that logged in, 401, or the seconds after which to try again, negative."""
    try:
        return logins.check(value)
    except LoginWantedError:
        return 401
    except LoginSlowError as error:
        return -error.retry_after_seconds


def fail(logins: Logins, clock: HandClock, name: str, times: int) -> None:
    """Fail so often in a row, each time as soon as an attempt is looked at."""
    for _ in range(times):
        while (found := outcome(logins, basic(name, "wrong"))) != 401:
            assert isinstance(found, int)
            clock.now += -found


# ---------------------------------------------------------------- headers


@pytest.mark.parametrize(("name", "password"), [("jan", JAN), ("eva", EVA)])
def test_the_right_password_logs_its_name_in(logins: Logins, name: str, password: str) -> None:
    assert logins.check(basic(name, password)) == name


@pytest.mark.parametrize(("name", "password"), [("jan", EVA), ("eva", JAN), ("jan", "Zähler"), ("Jan", JAN), ("", JAN)])
def test_no_other_pair_is_let_in(logins: Logins, name: str, password: str) -> None:
    assert outcome(logins, basic(name, password)) == 401


def test_the_example_of_the_rfc_is_read() -> None:
    logins = Logins({"Aladdin": read_hash(hashed("open sesame", LOW)), "test": read_hash(hashed("123£", LOW))})
    assert logins.check("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==") == "Aladdin"  # RFC 7617, section 2
    assert logins.check("Basic dGVzdDoxMjPCow==") == "test"  # section 2.1, in UTF-8
    assert basic("test", "123£") == "Basic dGVzdDoxMjPCow=="


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc", "Basic "])
def test_the_scheme_may_be_in_capitals_and_spaces_may_follow(logins: Logins, scheme: str) -> None:
    assert logins.check(basic("eva", EVA).replace("Basic", scheme)) == "eva"


def test_a_password_typed_in_another_normal_form_is_the_same(logins: Logins, scrypts: Scrypts) -> None:
    assert logins.check(header("jan:Za\u0308hler:1".encode())) == "jan"
    assert logins.check(header("jan:Z\u00e4hler:1".encode())) == "jan"
    assert scrypts.number == 1


TOKEN = base64.b64encode(b"eva:tariff").decode()
MALFORMED = [
    *("", " ", "Basic", "Basic ", "Basic\t" + TOKEN, "Basic" + TOKEN, TOKEN, "Bearer " + TOKEN, "Digest " + TOKEN),
    *(" Basic " + TOKEN, f"Basic {TOKEN}\n", f"Basic {TOKEN} ", f"Basic {TOKEN}, Basic {TOKEN}", f"Basic {TOKEN}é"),
    *("Ba\u017fic " + TOKEN, "Basic " + TOKEN.rstrip("="), "Basic " + TOKEN + "=", "Basic " + TOKEN[:5] + "-" + TOKEN),
    *(header(b""), header(b"eva"), header(b"eva tariff"), header(b"eva:"), header(b":"), header(b"eva:tariff\xff")),
    *(header("eva:ä".encode("latin-1")), header(b"eva:\xed\xa0\x80"), header(b"eva:" + b"x" * 1001)),
    *(header(b"eva:" + b"x" * 1494), "Basic " + "A" * 100_000, "\ud800", "Basic \udcff", "\0", "Basic " + "=" * 8),
]  # fmt: skip


@pytest.mark.parametrize("value", MALFORMED)
def test_a_header_that_is_none_is_refused_without_cost(logins: Logins, scrypts: Scrypts, value: str) -> None:
    for _ in range(5):
        assert outcome(logins, value) == 401
    assert scrypts.number == 0
    assert logins.check(basic("eva", EVA)) == "eva"


def test_a_header_of_2000_characters_is_looked_at_and_a_longer_one_is_not(logins: Logins, scrypts: Scrypts) -> None:
    spaces = 2000 - len(basic("eva", EVA))
    longer = basic("eva", EVA).replace(" ", " " * (spaces + 2))
    assert outcome(logins, longer) == 401
    assert scrypts.number == 0
    assert logins.check(longer.replace("  ", " ", 1)) == "eva"


@given(
    st.one_of(
        st.text(),
        st.text().map(lambda text: "Basic " + text),
        st.binary(max_size=40).map(header),
        st.tuples(st.sampled_from(["jan", "eva", "eve"]), st.text(max_size=10)).map(
            lambda pair: header(":".join(pair).encode("utf-8", "surrogatepass"))
        ),
    ),
    st.sampled_from([0.0, 0.5, 61.0]),
)
@settings(max_examples=400, deadline=None)
def test_no_header_raises_anything_but_the_two_errors(value: str, later: float) -> None:
    TESTED_CLOCK.now += later
    found = outcome(TESTED, value)
    assert found == 401 or -60 <= int(found) <= -1


TESTED_CLOCK = HandClock()
TESTED = Logins(KNOWN, TESTED_CLOCK.monotonic)


# ---------------------------------------------------------------- the same cost


def test_an_unknown_name_costs_the_same_scrypt_as_a_wrong_password(logins: Logins, scrypts: Scrypts) -> None:
    assert outcome(logins, basic("jan", "wrong")) == outcome(logins, basic("nobody", "wrong")) == 401
    assert scrypts.asked == [(1 << LOW, 8, 1, 16, 32)] * 2


@pytest.mark.parametrize("times", range(1, 8))
def test_known_and_unknown_names_are_looked_at_equally_often(scrypts: Scrypts, times: int) -> None:
    spent = {}
    for name in ("jan", "nobody"):
        clock = HandClock()
        logins, before = Logins(KNOWN, clock.monotonic), scrypts.number
        answers = [outcome(logins, basic(name, "wrong")) for _ in range(times)]
        spent[name] = answers, scrypts.number - before
    assert spent["jan"] == spent["nobody"]
    assert spent["jan"][1] == min(times, 3)


def test_an_unknown_name_costs_as_much_as_the_costliest_known_one(scrypts: Scrypts) -> None:
    costly = PasswordHash(11, 4, 3, bytes(24), bytes(48))  # 2^11 x 4 x 3 is more than 2^10 x 8
    assert outcome(Logins({**KNOWN, "max": costly}), basic("nobody", "wrong")) == 401
    assert scrypts.asked == [(1 << 11, 4, 3, 24, 48)]


def test_where_no_name_is_known_nobody_is_let_in(scrypts: Scrypts) -> None:
    logins = Logins({})
    assert [outcome(logins, basic(name, JAN)) for name in ("jan", "eva")] == [401, 401]
    assert scrypts.number == 2


def test_a_dummy_that_matched_would_let_nobody_in(logins: Logins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("powerpi.logins.matches", lambda *_: True)
    assert outcome(logins, basic("nobody", "x")) == 401
    assert logins.check(basic("eva", "x")) == "eva"


# ---------------------------------------------------------------- slowing down


def test_each_failure_after_the_third_doubles_the_pause_up_to_a_minute(
    logins: Logins, clock: HandClock, scrypts: Scrypts
) -> None:
    pauses = [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    for number, pause in enumerate(pauses, 1):
        assert outcome(logins, basic("jan", "wrong")) == 401
        assert scrypts.number == number
        if pause:
            assert outcome(logins, basic("jan", "wrong")) == -pause
            clock.now += pause - 0.25
            assert outcome(logins, basic("jan", JAN)) == -1, "the right password waits as well"
            assert scrypts.number == number
            clock.now += 0.25


def test_attempts_within_the_pause_do_not_lengthen_it(logins: Logins, clock: HandClock, scrypts: Scrypts) -> None:
    fail(logins, clock, "jan", 5)  # a pause of 4 s
    assert {outcome(logins, basic("jan", "wrong")) for _ in range(100)} == {-4}
    clock.now += 4
    assert logins.check(basic("jan", JAN)) == "jan"
    assert scrypts.number == 6


def test_the_pause_never_grows_beyond_a_minute(logins: Logins, clock: HandClock) -> None:
    fail(logins, clock, "jan", 80)
    assert outcome(logins, basic("jan", "wrong")) == -60


def test_the_seconds_to_wait_are_whole_and_enough(logins: Logins, clock: HandClock) -> None:
    fail(logins, clock, "jan", 4)
    clock.now += 0.5  # 1.5 s are left
    assert outcome(logins, basic("jan", JAN)) == -2
    clock.now += 2
    assert logins.check(basic("jan", JAN)) == "jan"


def test_a_login_ends_the_row_of_failures(logins: Logins, clock: HandClock) -> None:
    fail(logins, clock, "jan", 2)
    assert logins.check(basic("jan", JAN)) == "jan"
    fail(logins, clock, "jan", 2)
    assert outcome(logins, basic("jan", "wrong")) == 401
    assert outcome(logins, basic("jan", "wrong")) == -1


def test_names_are_slowed_down_one_by_one(logins: Logins, clock: HandClock) -> None:
    fail(logins, clock, "jan", 3)
    assert outcome(logins, basic("jan", JAN)) == -1
    assert logins.check(basic("eva", EVA)) == "eva"


def test_unknown_names_are_slowed_down_together_and_no_known_one(logins: Logins, scrypts: Scrypts) -> None:
    answers = [outcome(logins, basic(f"nobody{number}", "wrong")) for number in range(1000)]
    assert answers == [401] * 3 + [-1] * 997
    assert scrypts.number == 3
    assert logins.check(basic("jan", JAN)) == "jan"


def test_memory_is_bounded_whatever_comes(logins: Logins, clock: HandClock) -> None:
    for number in range(100):
        clock.now += 61
        outcome(logins, basic(f"nobody{number}", f"wrong{number}"))
        outcome(logins, basic("jan", f"wrong{number}"))
    clock.now += 61
    logins.check(basic("jan", JAN))
    logins.check(basic("eva", EVA))
    tables = [table for table in vars(logins).values() if isinstance(table, dict)]
    assert tables
    assert all(len(table) <= len(KNOWN) + 1 for table in tables)


# ---------------------------------------------------------------- known again


def test_a_password_that_was_right_costs_no_scrypt_again(logins: Logins, scrypts: Scrypts) -> None:
    assert {logins.check(basic("jan", JAN)) for _ in range(50)} == {"jan"}
    assert scrypts.number == 1
    assert outcome(logins, basic("jan", EVA)) == outcome(logins, basic("eva", JAN)) == 401
    assert scrypts.number == 3


def test_who_logged_in_before_is_let_in_while_another_fails_on_the_name(
    logins: Logins, clock: HandClock, scrypts: Scrypts
) -> None:
    logins.check(basic("jan", JAN))
    fail(logins, clock, "jan", 9)
    before = scrypts.number
    assert outcome(logins, basic("jan", "wrong")) == -60
    assert logins.check(basic("jan", JAN)) == "jan"
    assert scrypts.number == before


def test_the_requests_of_a_sender_do_not_free_the_attempts_of_another(logins: Logins, clock: HandClock) -> None:
    logins.check(basic("jan", JAN))
    fail(logins, clock, "jan", 5)
    logins.check(basic("jan", JAN))
    assert outcome(logins, basic("jan", "wrong")) == -4
    clock.now += 4
    fail(logins, clock, "jan", 1)
    assert outcome(logins, basic("jan", "wrong")) == -8


def test_no_password_is_kept(logins: Logins) -> None:
    logins.check(basic("jan", JAN))
    with contextlib.suppress(LoginWantedError):
        logins.check(basic("eva", "Xq7vK2p"))
    kept = repr(vars(logins))
    assert not [secret for secret in (JAN, "Xq7vK2p", base64.b64encode(b"eva:Xq7vK2p").decode()) if secret in kept]


def test_each_process_keeps_another_mark_of_the_same_password() -> None:
    marks = []
    for _ in range(2):
        logins = Logins(KNOWN)
        logins.check(basic("eva", EVA))
        marks.append(dict(logins._marks))
    assert marks[0].keys() == marks[1].keys() == {"eva"}
    assert marks[0] != marks[1]


def test_two_names_with_one_password_have_two_marks() -> None:
    one = read_hash(hashed("same", LOW))
    logins = Logins({"jan": one, "eva": one})
    assert [logins.check(basic(name, "same")) for name in ("jan", "eva")] == ["jan", "eva"]
    assert logins._marks["jan"] != logins._marks["eva"]


# ---------------------------------------------------------------- threads


class Crowd:
    """Threads that each check one header; `results` holds what became of them, as they end."""

    def __init__(self, logins: Logins, headers: list[str]) -> None:
        self.results: queue.Queue[str | int] = queue.Queue()
        start = threading.Barrier(len(headers))

        def ask(value: str) -> None:
            start.wait(PATIENCE)
            self.results.put(outcome(logins, value))

        self.threads = [threading.Thread(target=ask, args=(value,), daemon=True) for value in headers]
        for thread in self.threads:
            thread.start()

    def ended(self, number: int) -> list[str | int]:
        return [self.results.get(timeout=PATIENCE) for _ in range(number)]

    def join(self) -> None:
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def many() -> dict[str, PasswordHash]:
    return {f"name{number}": read_hash(hashed(f"word{number}", LOW)) for number in range(12)}


def headers_of(many: dict[str, PasswordHash]) -> list[str]:
    return [basic(name, name.replace("name", "word")) for name in many]


@pytest.mark.parametrize(("most_waiting", "served"), [(4, 5), (1, 2), (0, 1)])
def test_few_requests_wait_and_the_others_are_sent_away_at_once(
    many: dict[str, PasswordHash], scrypts: Scrypts, most_waiting: int, served: int
) -> None:
    logins = Logins(many, desk=Desk(most_waiting))
    scrypts.go.clear()
    crowd = Crowd(logins, headers_of(many))
    assert crowd.ended(12 - served) == [-2] * (12 - served)
    assert scrypts.number == 1
    scrypts.go.set()
    names = crowd.ended(served)
    crowd.join()
    assert len(set(names)) == served
    assert set(names) <= many.keys()
    assert (scrypts.number, scrypts.most_running) == (served, 1)


def test_those_who_share_a_desk_hold_no_more_threads_than_one(many: dict[str, PasswordHash], scrypts: Scrypts) -> None:
    desk = Desk(0)
    viewers, senders = Logins(many, desk=desk), Logins(many, desk=desk)
    scrypts.go.clear()
    crowd = Crowd(viewers, headers_of(many)[:1])
    assert scrypts.entered.acquire(timeout=PATIENCE)
    assert outcome(senders, headers_of(many)[1]) == -2
    scrypts.go.set()
    assert crowd.ended(1) == ["name0"]
    crowd.join()
    assert outcome(senders, headers_of(many)[1]) == "name1"


def test_four_wait_unless_said_otherwise(many: dict[str, PasswordHash], scrypts: Scrypts) -> None:
    logins = Logins(many)
    scrypts.go.clear()
    crowd = Crowd(logins, headers_of(many))
    assert crowd.ended(7) == [-2] * 7
    scrypts.go.set()
    assert set(crowd.ended(5)) <= many.keys()
    crowd.join()


def test_who_logged_in_before_waits_for_nobody(many: dict[str, PasswordHash], scrypts: Scrypts) -> None:
    logins = Logins(many)
    known, *others = headers_of(many)
    logins.check(known)
    scrypts.go.clear()
    crowd = Crowd(logins, others)
    assert crowd.ended(6) == [-2] * 6  # of eleven: the place of each of the five is taken
    assert logins.check(known) == "name0"
    scrypts.go.set()
    crowd.ended(5)
    crowd.join()


def test_the_first_requests_of_one_sender_together_cost_one_scrypt(logins: Logins, scrypts: Scrypts) -> None:
    crowd = Crowd(logins, [basic("jan", JAN)] * 5)
    assert crowd.ended(5) == ["jan"] * 5
    crowd.join()
    assert scrypts.number == 1


def test_who_is_slowed_down_takes_no_place_of_those_who_wait(
    logins: Logins, clock: HandClock, scrypts: Scrypts
) -> None:
    fail(logins, clock, "jan", 3)
    scrypts.go.clear()
    holder = Crowd(logins, [basic("eva", EVA)])
    hasty = Crowd(logins, [basic("jan", "wrong")] * 8)
    assert hasty.ended(8) == [-1] * 8  # the pause of 1 s, told at once; without a place it would be 2
    scrypts.go.set()
    assert holder.ended(1) == ["eva"]
    holder.join()
    hasty.join()


@pytest.mark.parametrize("name", ["jan", "nobody"])
def test_guesses_made_together_are_slowed_down_like_those_made_in_turn(
    logins: Logins, scrypts: Scrypts, name: str
) -> None:
    crowd = Crowd(logins, [basic(name, f"wrong{number}") for number in range(5)])
    assert sorted(map(int, crowd.ended(5))) == [-1, -1, 401, 401, 401]
    crowd.join()
    assert scrypts.number == 3


def test_a_scrypt_that_fails_gives_its_place_back(logins: Logins, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: Any, **__: Any) -> bytes:
        raise MemoryError

    monkeypatch.setattr(hashlib, "scrypt", no_memory)
    for _ in range(10):
        with pytest.raises(MemoryError):
            logins.check(basic("jan", JAN))
    monkeypatch.undo()
    assert logins.check(basic("jan", JAN)) == "jan"


# ---------------------------------------------------------------- answers


def caught(check: Callable[[], object]) -> AnsweredError:
    with pytest.raises(AnsweredError) as found:
        check()
    return found.value


@pytest.mark.parametrize(
    "value", [basic("jan", "Xq7vK2p"), basic("Xq7vK2p", "x"), header(b"jan:Xq7vK2p\xff"), "Basic Xq7vK2p", "Xq7vK2p"]
)
def test_no_error_holds_what_was_sent(logins: Logins, value: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    for _ in range(5):
        error = caught(lambda: logins.check(value))
        assert (error.__cause__, error.__context__) == (None, None)
        said = "".join(traceback.format_exception(error)) + repr(error) + repr(error.args) + repr(error.values)
        assert not [part for part in ("Xq7vK2p", value, value.partition(" ")[2]) if part and part in said]
    logged = [record.getMessage() for record in caplog.records]  # once when it begins, once when it slows down
    assert len(logged) in (0, 2)
    assert not [line for line in logged for part in ("Xq7vK2p", value.partition(" ")[2]) if part and part in line]


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_errors_are_worded_in_every_language(logins: Logins, clock: HandClock, language: str) -> None:
    wanted = caught(lambda: logins.check(""))
    assert wanted.sentence(language) == texts.TEXTS["error_login_wanted"][language]
    fail(logins, clock, "jan", 9)
    slow = caught(lambda: logins.check(basic("jan", JAN)))
    assert isinstance(slow, LoginSlowError)
    assert slow.retry_after_seconds == 60
    assert "60 s" in slow.sentence(language).replace("\N{NO-BREAK SPACE}", " ")


def test_the_challenge_names_realm_and_charset() -> None:
    assert challenge("PowerPi") == ("WWW-Authenticate", 'Basic realm="PowerPi", charset="UTF-8"')
    assert challenge('a "b" \\')[1] == 'Basic realm="a \\"b\\" \\\\", charset="UTF-8"'


@pytest.mark.parametrize("realm", ["a\r\nSet-Cookie: x", "ä", "\t", "\x7f"])
def test_a_realm_cannot_break_out_of_its_header(realm: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        challenge(realm)


@pytest.mark.parametrize(("name", "password"), [("a:b", "x"), ("a", ""), ("a", "x" * 1001), ("a", "\ud800")])
def test_no_header_is_made_of_what_can_never_log_in(name: str, password: str) -> None:
    with pytest.raises(ValueError, match=r"must|no colon"):
        basic(name, password)
