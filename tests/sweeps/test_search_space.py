import pytest
from pydantic import ValidationError

from sweeps.search_space import Domain, apply_settings, corners, settings_of
from sweeps.suggestion import distribution


@pytest.mark.parametrize(
    ("domain", "setting"),
    [
        ({"choice": [[2, 2], [3, 1]]}, (3, 1)),
        ({"choice": ["hinge", "rpgan"]}, "hinge"),
        ({"choice": [1, 2, 4]}, 4),
        ({"uniform": [0.0, 1.0]}, 0.25),
        ({"loguniform": [1e-5, 1e-3]}, 1e-4),
        ({"randint": [2, 7]}, 7),
    ],
)
def test_setting_comes_back_from_its_suggestion(domain, setting):
    domain = Domain.model_validate(domain)
    suggestion = domain.to_suggestion(setting)
    assert domain.to_setting(suggestion) == setting
    known = distribution(domain)
    assert known._contains(known.to_internal_repr(suggestion))


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        ({"uniform": [0.0, 1.0], "choice": [1]}, "exactly one of choice, uniform"),
        ({}, "exactly one"),
        ({"loguniform": [0.0, 1.0]}, "positive bounds"),
        ({"uniform": [2.0, 1.0]}, "low < high"),
        ({"choice": [1, 1]}, "names 1 twice"),
        ({"choice": []}, "at least 1 item"),
    ],
)
def test_impossible_domain_is_refused(domain, message):
    with pytest.raises(ValidationError, match=message):
        Domain.model_validate(domain)


def test_numbers_written_as_yaml_text_are_numbers():
    # PyYAML reads 1e-5 as text.
    assert Domain.model_validate({"loguniform": ["1e-5", "1e-3"]}).bounds == (1e-5, 1e-3)


def test_rounded_float_never_leaves_its_bounds():
    domain = Domain.model_validate({"uniform": [0.12341, 0.2]})
    assert domain.to_setting(0.12341) == 0.12341


def test_setting_outside_the_domain_is_refused():
    with pytest.raises(ValueError, match=r"\[5\] is not in choice \[\[2, 2\], \[3, 1\]\]"):
        Domain.model_validate({"choice": [[2, 2], [3, 1]]}).to_suggestion((5,))


def test_settings_go_in_at_their_paths_and_come_out_again():
    training = {"a": {"b": [1, 2], "c": 3}, "d": 4}
    space = {"a.b": Domain(choice=((1, 2), (5, 6))), "d": Domain(choice=(4, 7))}
    changed = apply_settings(training, {"a.b": (5, 6), "d": 7})
    assert changed == {"a": {"b": (5, 6), "c": 3}, "d": 7}
    assert training == {"a": {"b": [1, 2], "c": 3}, "d": 4}
    assert settings_of(changed, space) == {"a.b": (5, 6), "d": 7}


def test_corners_are_all_choices_with_both_ends():
    space = {"x": Domain(choice=(1, 2, 3)), "y": Domain(uniform=(0.0, 1.0))}
    found = [tuple(corner.values()) for corner in corners(space)]
    assert sorted(found) == [(x, y) for x in (1, 2, 3) for y in (0.0, 1.0)]


def test_corners_of_a_vast_space_are_a_bounded_spread():
    space = {f"x{i}": Domain(choice=tuple(range(5))) for i in range(9)}
    found = list(corners(space))
    assert 2000 < len(found) <= 4096
    assert {corner["x0"] for corner in found} == set(range(5))
