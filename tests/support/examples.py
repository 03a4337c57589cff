"""How often a property is tried, and documents with something wrong in them.

`pytest --hypothesis-profile=soak` tries each property on a hundred times as many examples, `quick` on a fifth.
"""

import copy

from hypothesis import HealthCheck, settings, strategies as st

SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
settings.register_profile("suite", deadline=None, suppress_health_check=SLOW)
settings.register_profile("quick", settings.get_profile("suite"), max_examples=20)
settings.register_profile("soak", max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("suite")


def examples(count):
    """Settings for `count` examples in the suite."""
    return settings(max_examples=max(count * settings().max_examples // 100, 1))


NUMBERS = st.integers(-3, 300) | st.sampled_from([2**31, 2**63, 10**30]) | st.floats()
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def spoiled(draw, document, values=VALUES):
    """The JSON document with one to three of its values, at any depth, replaced, taken out or doubled elsewhere."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        place, key = None, None
        inner = document
        while isinstance(inner, dict | list) and inner and (place is None or draw(st.integers(0, 3))):
            keys = sorted(inner) if isinstance(inner, dict) else range(len(inner))
            place, key = inner, draw(st.sampled_from(keys))
            inner = place[key]
        if place is None:
            continue
        if draw(st.booleans()):
            place[key] = draw(values)
        elif draw(st.booleans()):
            del place[key]
        elif isinstance(place, dict):
            place[draw(st.text(max_size=6))] = copy.deepcopy(inner)
        else:
            place.append(copy.deepcopy(inner))
    return document
