"""Values find their places in a sample, its words stay, and what the sample does not have is added."""

from __future__ import annotations

from powerpi.filling import filled

SAMPLE = """\
# A sample.
[powerpi]
# Where it lies. gpio = 5 is not meant here.
state = /var/lib/powerpi

[meter house]
#label = House
gpio = 24
# [meter other]
# gpio = 23

#[push]
# The address.
#url = https://power.example.org/
#user = pi
"""


def test_values_take_the_places_of_their_keys_and_words_stay() -> None:
    text = filled(SAMPLE, "meter house", {"gpio": "5", "label": "Hut"})
    wanted = SAMPLE.replace("#label = House\ngpio = 24", "label = Hut\ngpio = 5")
    assert text == wanted


def test_a_section_that_was_a_comment_counts_then() -> None:
    text = filled(SAMPLE, "push", {"url": "https://a.b/"}, ["Taken over."])
    assert text.endswith("[push]\n# Taken over.\n# The address.\nurl = https://a.b/\n#user = pi\n")
    assert text.startswith(SAMPLE.partition("#[push]")[0] + "[push]")


def test_what_is_not_used_stays_a_comment_with_its_reason() -> None:
    text = filled(SAMPLE, "push", {"url": "http://a.b/"}, ["Not used."], used=False)
    assert text.endswith("#[push]\n# Not used.\n# The address.\n#url = http://a.b/\n#user = pi\n")


def test_a_key_that_the_sample_does_not_have_stands_below_the_heading() -> None:
    text = filled(SAMPLE, "powerpi", {"listen": "[::]:8080"})
    assert text == SAMPLE.replace("[powerpi]\n", "[powerpi]\nlisten = [::]:8080\n")


def test_a_section_that_the_sample_does_not_have_stands_at_the_end() -> None:
    assert filled(SAMPLE, "store", {"archive_years": "0"}) == f"{SAMPLE}\n[store]\narchive_years = 0\n"


def test_a_value_with_signs_of_regular_expressions_is_only_text() -> None:
    assert "user = \\1\\g<0>$%\n" in filled(SAMPLE, "push", {"user": "\\1\\g<0>$%"})
