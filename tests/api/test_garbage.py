"""What a turn leaves behind."""

import gc

import pytest

from tests.api.service import Service, make_thread


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
async def test_a_turn_leaves_no_circle_of_objects_that_holds_its_messages(small_service: Service, accept: str) -> None:
    """Such a circle keeps a thread's window until the garbage collector comes by, which it seldom does."""
    alice = await small_service.user("alice")
    thread = await make_thread(alice)

    async def turn() -> None:
        answer = await alice.post(
            f"/threads/{thread['id']}/messages", json={"content": "Hello"}, headers={"accept": accept}
        )
        assert answer.is_success

    await turn()  # which loads and compiles what all turns use
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(3):
            await turn()
        gc.collect()
        left = {type(each) for each in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()

    assert {each.__qualname__ for each in left if each.__module__.startswith("ai_agents.")} == set()
