// Times, sizes and numbers as people read them.

const number = new Intl.NumberFormat();

export const count = (value) => (value === null || value === undefined ? "–" : number.format(value));

/** The time between two times of the API: "0.4 s", "12 s", "3 min 5 s". */
export function duration(from, to) {
  const seconds = Math.max(0, (new Date(to) - new Date(from)) / 1000);
  if (!Number.isFinite(seconds) || seconds < 0.05) return "";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

const UNITS = ["bytes", "kB", "MB", "GB"];

export function fileSize(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export const money = (cost) => (cost ? `${cost.estimated ? "≈ " : ""}${cost.currency} ${Number(cost.amount).toPrecision(3)}` : "not known");

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
