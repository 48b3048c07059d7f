// A run's notices in words.

/** By their codes. */
export const NOTICES = {
  context_left_out: ({ messages }) => `${messages ?? "Some"} older messages did not fit and were not sent.`,
  tool_missing: ({ tool }) => `The tool ${tool} is not there; the run went on without it.`,
  setting_left_out: ({ setting, reason }) => `The model does not take ${setting}: ${reason}`,
  tool_left_out: ({ tool, reason }) => `The tool ${tool} was left out: ${reason}`,
  credentials_missing: ({ tool }) => `${tool} wants credentials of one's own, and there were none.`,
  empty_answer: () => "The model said nothing after a tool's result.",
  budget_low: ({ budget }) => `At least 80% of the ${budget}'s budget of the day is used.`,
  cost_unknown: ({ provider, model }) => `The price of ${provider}:${model} is not known.`,
  summary_unusable: ({ times }) => `The model gave no usable summary of the thread, ${times} times.`,
};
