// What the context's words mean, for people.

const REASONS = {
  strategy: { one: "the memory does not choose it", many: "the memory does not choose them" },
  summarized: { one: "the summary covers it", many: "the summary covers them" },
  token_budget: { one: "it does not fit the model's window", many: "they do not fit the model's window" },
  not_sendable: { one: "it has nothing to send", many: "they have nothing to send" },
  refused: { one: "a provider refused it, so no model is sent it again", many: "a provider refused them, so no model is sent them again" },
  superseded: { one: "a retry has put another answer in its place", many: "retries have put other answers in their place" },
};

/** Why so many messages are left out, as the end of a sentence. */
export const reasonWords = (reason, number) => REASONS[reason]?.[number === 1 ? "one" : "many"] ?? reason;
export const STRATEGY_NAMES = { last_n: "Last messages", first_last: "First and last", summarize: "Summary", token_window: "Token window" };
export const ROLES = { user: "Person", assistant: "Assistant", tool: "Tool", system: "System" };

export const strategyName = (name) => STRATEGY_NAMES[name] ?? name;
export const count = (number) => number.toLocaleString("en");
export const counted = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;
export const share = (part) => (!Number.isFinite(part) ? "more than all" : part > 0 && part < 0.01 ? "less than 1 %" : `${Math.round(part * 100)} %`);

/** A notice of a run or of a context, as a sentence. */
export function noticeWords(notice) {
  switch (notice.code) {
    case "context_left_out":
      return `${notice.messages === null ? "Some" : counted(notice.messages, "message", "messages")} of the oldest did not fit, so the model was not sent them.`;
    case "tool_missing":
      return `The tool ${notice.tool} is not there, or is off until an admin approves it. Answers go on without it.`;
    case "tool_left_out":
      return `The tool ${notice.tool} is left out: ${notice.reason}`;
    case "setting_left_out":
      return `The setting ${notice.setting} is not sent: ${notice.reason}`;
    case "credentials_missing":
      return `${notice.tool} is called with your own credentials, and you have given none. Give them in the settings.`;
    case "budget_low":
      return `At least 80 % of the ${notice.budget === "agent" ? "agent's" : "user's"} budget of today is used.`;
    case "cost_unknown":
      return `The price of ${notice.model} is not known, so it counts nothing towards the budget of money.`;
    case "empty_answer":
      return "The model had nothing to say after a tool's result.";
    case "summary_unusable":
      return `The model gave no usable summary ${notice.times} times in a row.`;
    default:
      return notice.code;
  }
}
