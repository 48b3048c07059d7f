// What happened in a run, in sentences.

const STOPS = {
  max_tokens: "The answer ended at the limit of tokens.",
  stop_sequence: null,
  refusal: "The model refused to answer this.",
  context_exceeded: "The conversation is too long for the model.",
  cut: "The provider cut the answer in the middle.",
};

/** What to know of a run's end, beyond that it ended; null where there is nothing. */
export const stopWords = (reason) => STOPS[reason] ?? null;

/** Notices that people want to know of where they read; all others are among the details. */
export const URGENT = new Set(["tool_missing", "tool_left_out", "credentials_missing", "empty_answer", "budget_low"]);

/** One sentence for each notice of a run. */
export function noticeWords(notice) {
  const words = {
    context_left_out: "Parts of the conversation were left out, since it is long.",
    tool_missing: `The tool ${notice.tool} is no longer there.`,
    tool_left_out: `The tool ${notice.tool} was left out: ${notice.reason}`,
    setting_left_out: `The setting ${notice.setting} was left out: ${notice.reason}`,
    credentials_missing: `The tool ${notice.tool} needs credentials of yours.`,
    empty_answer: "The model had nothing to add.",
    budget_low: "The budget for today is nearly used up.",
    cost_unknown: `What ${notice.model} costs is not known.`,
    summary_unusable: "The older part could not be summarized.",
  };
  return words[notice.code] ?? notice.detail ?? notice.code;
}

export function guardrailWords({ guardrail, stage, action }) {
  const where = stage === "input" ? "the message" : "the answer";
  return action === "block" ? `A guardrail (${guardrail}) stopped ${where}.` : `A guardrail (${guardrail}) took something out of ${where}.`;
}
