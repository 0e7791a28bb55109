"""A reply is read later, from its body alone, as the gateway read it when it was served."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.probe.bodies import ROUTES, streamed, whole

from stillroom.base.records import Route
from stillroom.client.route_reply import read_route_reply
from stillroom.serve.routes.reply import ReplyReader

texts = st.text(st.characters(codec="utf-8"), max_size=40)
bodies = st.one_of(
    st.binary(max_size=60),
    st.builds(whole, st.sampled_from(ROUTES), texts, st.none() | texts),
    st.builds(streamed, st.sampled_from(ROUTES), texts, ends=st.booleans()),
    st.builds(lambda body, bom: bom + body, st.builds(whole, st.sampled_from(ROUTES), texts), st.just(b"\xef\xbb\xbf")),
)


@given(st.sampled_from(ROUTES), bodies)
def test_it_is_read_as_it_was(route: Route, body: bytes) -> None:
    reader = ReplyReader(route)
    reader.whole(body)
    replies = read_route_reply(route, body)
    assert replies
    if reader.said:
        assert [(reply.reasoning, reply.answer) for reply in replies] == [
            (said.reasoning, said.answer) for said in reader.said
        ]
    if any(reply.status == "failed" for reply in replies):
        assert reader.failed
