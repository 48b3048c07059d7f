"""Tells refusals of what is said in a request from refusals of anything else: of keys, models, parameters."""

import re

from ai_agents.core.exceptions import ContextExceeded, ProviderError, ProviderRejected

# How providers say that they refuse what a request says, or a file in it: by a code, or in a sentence.
# Sources, read 2026-11-30: https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter,
# https://openrouter.ai/docs/api-reference/errors, https://github.com/theopenco/llmgateway/pull/1785 (xAI),
# https://github.com/anthropics/claude-code/issues/6195, https://github.com/XiaomiMiMo/MiMo-V2-Flash/issues/18,
# https://help.aliyun.com/zh/model-studio/error-code, and `ResponseError` in OpenAI's reference.
_WORDS = re.compile(
    "content_?filter(ed)?|content_policy_violation|responsibleaipolicyviolation|moderation(_blocked)?|invalid_prompt"
    "|data_?inspection_?failed|prohibited_content|(bio|cyber)_policy|misalignment_policy_violation"
    "|(invalid|unsupported|empty)_(base64_)?(image|file|document|pdf)(_.*)?"
    "|(image|file|document)_(too_large|too_small|parse_error|content_policy_violation|file_too_large)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"content[ _-]?(filter|moderation|management policy)|(usage|content|safety) (policy|policies|guidelines)"
    r"|usage guidelines|safety (system|check|filter)|inappropriate content|sensitive content|moderation block"
    r"|(input|prompt|request|message)s? (was|were|is|has been|have been|got) flagged",
    re.IGNORECASE,
)
# The customer is blocked for what was sent before.
# Source: https://learn.microsoft.com/azure/ai-foundry/openai/concepts/abuse-monitoring
_BLOCKED = re.compile(r"temporarily (blocked|suspended)", re.IGNORECASE)
# Codes of refusals for which no message is to blame.
_OTHER_WORDS = re.compile(
    "model_not_found|invalid_api_key|invalid_model|(unknown|unsupported|missing_required)_parameter|unsupported_value"
    "|authentication_error|permission_error|billing_error",
    re.IGNORECASE,
)
# The parameters in which a request holds what is said.
_PARAMETERS = ("messages", "input", "content", "prompt")


def is_about_content(error: ProviderError) -> bool | None:
    """Whether the provider refuses what is said in the request; None where it does not say why it refuses."""
    if not isinstance(error, ProviderRejected) or isinstance(error, ContextExceeded):
        return False
    if error.about_content is not None:
        return error.about_content
    status, said = (error.upstream["status"], error.upstream["message"]) if error.upstream else (None, "")
    if status == 413:
        return True
    if status in {None, 401, 402, 404}:
        return False
    if _SENTENCE.search(said) or (error.word is not None and _WORDS.fullmatch(error.word)):
        return _BLOCKED.search(said) is None
    if status not in {400, 415, 422} or (error.word is not None and _OTHER_WORDS.fullmatch(error.word)):
        return False
    return None if error.parameter is None or error.parameter.startswith(_PARAMETERS) else False
