"""What people think of answers."""

from ai_agents.core.exceptions import AgentNotFound, MessageNotFound
from ai_agents.core.rows import Feedback, Page, Rating
from ai_agents.store.thread_access import ThreadAccess
from app.container import Container
from app.schemas.threads import PutFeedback
from app.services.identity import PageArguments, Principal, check_id, whose


async def put_feedback(
    container: Container, user: Principal, thread: ThreadAccess, message_id: str, body: PutFeedback
) -> Feedback:
    """What the user thinks of the message from now on. Raises `MessageNotFound`, `InvalidRequest`."""
    message_id = check_id(message_id, MessageNotFound)
    return await container.feedback.put(
        thread.thread_id, message_id, user.user_id, rating=body.rating, comment=body.comment
    )


async def list_feedback(
    container: Container, user: Principal, page: PageArguments, *, agent_id: str | None, rating: Rating | None
) -> Page[Feedback]:
    """Feedback on the agents that the user owns, newest first; an admin sees all.

    Raises `AgentNotFound`, `PermissionDenied` for an agent that the user does not own, `InvalidCursor`.
    """
    if agent_id is not None:
        check_id(agent_id, AgentNotFound)
        await container.auth.agent_access(user.user_id, agent_id, "list_feedback", **user.reach)
    owner = await whose(container, user, "agent")
    return await container.feedback.list(owner, agent_id=agent_id, rating=rating, **page)
