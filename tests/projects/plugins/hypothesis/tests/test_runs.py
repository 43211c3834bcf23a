from hypothesis import example, given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from runs import decode, encode


@given(st.text(alphabet="ab"))
@example("")
@example("aab")
def test_there_and_back(text):
    assert decode(encode(text)) == text


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.text = ""

    @rule(letter=st.sampled_from("ab"))
    def add(self, letter):
        self.text += letter

    @invariant()
    def same(self):
        assert decode(encode(self.text)) == self.text


TestMachine = Machine.TestCase
