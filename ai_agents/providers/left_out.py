"""The notices for what an agent asks for and a request leaves out, since the model does not take it."""

from collections.abc import Iterator

from ai_agents.core.notices import Notice
from ai_agents.core.types import FilePart, ModelRequest
from ai_agents.providers.files import IMAGES, FileRules


def setting_left_out(setting: str, model: str, quirk: str) -> Notice:
    """That the model is not known to take a setting. `quirk` is the one that says otherwise."""
    reason = f"{model} is not known to take it. If it does, the quirk {quirk} of the provider says so."
    return {"code": "setting_left_out", "setting": setting, "reason": reason}


def left_out_for(setting: str, reason: str) -> Notice:
    """That a setting is left out for another reason, which is a sentence."""
    return {"code": "setting_left_out", "setting": setting, "reason": reason}


def images_left_out(request: ModelRequest, rules: FileRules) -> Iterator[Notice]:
    """That the model is not known to see: the pictures of the request go by their names. `rules` are the model's."""
    if rules.media_types & IMAGES:
        return
    parts = [part for message in request.messages for part in message.parts if isinstance(part, FilePart)]
    if any(part.media_type in IMAGES and not part.deleted for part in parts):
        yield setting_left_out("images", request.model, "images")


def tool_left_out(tool: str, model: str) -> Notice:
    """That the model is not known to take tools, so that it is not told of this one."""
    reason = f"{model} is not known to take tools. If it does, the quirk tools of the provider says so."
    return {"code": "tool_left_out", "tool": tool, "reason": reason}
