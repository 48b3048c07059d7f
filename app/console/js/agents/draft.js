// What the form holds of an agent: texts as typed. `toDraft` makes it of an agent, `toBody` makes fields of it again.

let made = 0;
// A name for an entry of a list that stays with it when the list is put in another order.
export const newKey = () => `entry-${(made += 1)}`;

export const MEMORY_FIELDS = {
  last_n: { n: 20, step: 1 },
  first_last: { first: 2, last: 10, step: 1 },
  summarize: { recent: 10 },
  token_window: { max_tokens: 100000 },
};
export const PII_KINDS = ["email", "phone", "card", "iban", "ip"];
const BUILT_IN = new Set(["blocklist", "pii", "secrets", "max_length", "judge"]);
export const NUMBER_SETTINGS = ["temperature", "top_p", "max_tokens", "timeout_s", "tool_rounds"];
export const CHOICE_SETTINGS = ["reasoning", "on_cut", "api"];

const typed = (value) => (value === null || value === undefined ? "" : String(value));
const asText = (value) => (value === null || value === undefined ? "" : JSON.stringify(value, null, 2));
const isEmpty = (value) => value && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length === 0;

// One text a line, so that line breaks in a text, which are common where answers stop, are written as \n.
const escaped = (text) => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll("\t", "\\t");
const unescaped = (line) => line.replace(/\\(.)/g, (_, letter) => ({ n: "\n", r: "\r", t: "\t" })[letter] ?? letter);

/** A draft of an agent, or of a new one. */
export function toDraft(agent = {}) {
  const settings = { stop: (agent.settings?.stop ?? []).map(escaped).join("\n") };
  for (const name of [...NUMBER_SETTINGS, ...CHOICE_SETTINGS]) settings[name] = typed(agent.settings?.[name]);
  return {
    name: agent.name ?? "",
    description: agent.description ?? "",
    system_prompt: agent.system_prompt ?? "",
    provider: agent.provider ?? "",
    model: agent.model ?? "",
    settings,
    tools: (agent.tools ?? []).map(toolDraft),
    memory: memoryDraft(agent.memory),
    guardrails: (agent.guardrails ?? []).map(guardrailDraft),
    fallbacks: (agent.fallbacks ?? []).map((each) => ({ key: newKey(), ...each })),
    output_schema: asText(agent.output_schema),
    budget: { tokens_per_day: typed(agent.budget?.tokens_per_day), cost_per_day: typed(agent.budget?.cost_per_day) },
    metadata: isEmpty(agent.metadata) ? "" : asText(agent.metadata),
  };
}

function toolDraft(tool) {
  if (typeof tool === "string") return { name: tool, approval: "never", deadline: "default", minutes: "" };
  const deadline = !("expires_in_s" in tool) ? "default" : tool.expires_in_s === null ? "never" : "given";
  const minutes = deadline === "given" ? String(tool.expires_in_s / 60) : "";
  return { name: tool.name, approval: tool.approval ?? "never", deadline, minutes };
}

function memoryDraft(memory) {
  if (!memory) return { strategy: "", fields: {}, other: "" };
  const { strategy, ...rest } = memory;
  if (!(strategy in MEMORY_FIELDS)) return { strategy: "other", fields: {}, other: asText(memory) };
  return { strategy, fields: Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, typed(value)])), other: "" };
}

/** An entry of the form for a guardrail. Of one that was registered under a name of its own, the JSON is what one edits. */
export function guardrailDraft(guardrail) {
  const { type, stage = "both", action = "block", ...rest } = guardrail;
  // Patterns that are no lines of text are edited as JSON, too.
  const asJson = !BUILT_IN.has(type) || (rest.patterns ?? []).some((pattern) => pattern.includes("\n") || !pattern.trim());
  const draft = { key: newKey(), type, asJson, stage, action, patterns: "", kinds: [...PII_KINDS], characters: "", provider: "", model: "", policy: "", other: "" };
  if (asJson) draft.other = asText(guardrail);
  else if (type === "blocklist") draft.patterns = (rest.patterns ?? []).join("\n");
  else if (type === "pii") draft.kinds = rest.kinds ?? [...PII_KINDS];
  else if (type === "max_length") draft.characters = typed(rest.characters);
  else if (type === "judge") Object.assign(draft, { provider: rest.provider ?? "", model: rest.model ?? "", policy: rest.policy ?? "" });
  return draft;
}

/** The fields of an agent, and what is wrong with them by the path of the field, such as `settings.temperature`. */
export function toBody(draft) {
  const errors = {};
  const number = (path, text, { whole = false } = {}) => {
    if (text.trim() === "") return null;
    const value = Number(text);
    if (!Number.isFinite(value)) errors[path] = "Write a number.";
    else if (whole && !Number.isInteger(value)) errors[path] = "Write a whole number.";
    return value;
  };
  const json = (path, text) => {
    const { value, error } = parseJson(text);
    if (error) errors[path] = error.message;
    return value;
  };
  if (!draft.name.trim()) errors.name = "An agent needs a name.";
  const body = {
    name: draft.name,
    description: draft.description || null,
    system_prompt: draft.system_prompt || null,
    provider: draft.provider || null,
    model: draft.model || null,
    settings: settingsOf(draft.settings, number),
    tools: draft.tools.map((tool, index) => toolOf(tool, index, number)),
    memory: memoryOf(draft.memory, number, json),
    guardrails: draft.guardrails.map((each, index) => guardrailOf(each, index, number, json)),
    fallbacks: draft.fallbacks.map(({ provider, model }) => ({ provider, model })),
    output_schema: draft.output_schema.trim() ? json("output_schema", draft.output_schema) : null,
    budget: budgetOf(draft.budget, number),
    metadata: draft.metadata.trim() ? json("metadata", draft.metadata) : {},
  };
  return { body, errors };
}

function settingsOf(settings, number) {
  const given = {};
  for (const name of NUMBER_SETTINGS) {
    const whole = name === "max_tokens" || name === "tool_rounds";
    const value = number(`settings.${name}`, settings[name], { whole });
    if (value !== null) given[name] = value;
  }
  for (const name of CHOICE_SETTINGS) if (settings[name]) given[name] = settings[name];
  const stop = settings.stop.split("\n").filter((line) => line !== "").map(unescaped);
  if (stop.length) given.stop = stop;
  return given;
}

function toolOf(tool, index, number) {
  if (tool.approval !== "always") return tool.name;
  const choice = { name: tool.name, approval: "always" };
  if (tool.deadline === "never") choice.expires_in_s = null;
  if (tool.deadline === "given") choice.expires_in_s = Math.round((number(`tools.${index}.expires_in_s`, tool.minutes) ?? 0) * 60);
  return choice;
}

function memoryOf(memory, number, json) {
  if (!memory.strategy) return null;
  if (memory.strategy === "other") return json("memory", memory.other);
  const made = { strategy: memory.strategy };
  for (const name of Object.keys(MEMORY_FIELDS[memory.strategy])) {
    const value = number(`memory.${name}`, memory.fields[name] ?? "", { whole: true });
    if (value !== null) made[name] = value;
  }
  return made;
}

function guardrailOf(each, index, number, json) {
  const { type, stage, action } = each;
  if (each.asJson) return json(`guardrails.${index}`, each.other);
  const common = { type, stage, action };
  if (type === "blocklist") return { ...common, patterns: linesOf(each.patterns) };
  if (type === "pii") return { ...common, kinds: PII_KINDS.filter((kind) => each.kinds.includes(kind)) };
  if (type === "max_length") return { ...common, characters: number(`guardrails.${index}.characters`, each.characters, { whole: true }) ?? 0 };
  if (type === "judge") return { ...common, provider: each.provider, model: each.model, policy: each.policy };
  return common;
}

/** The patterns of a blocklist: one a line, empty lines do not count. */
export const linesOf = (text) => text.split("\n").filter((line) => line.trim() !== "");

function budgetOf(budget, number) {
  const tokens_per_day = number("budget.tokens_per_day", budget.tokens_per_day, { whole: true });
  const cost_per_day = number("budget.cost_per_day", budget.cost_per_day);
  return tokens_per_day === null && cost_per_day === null ? null : { tokens_per_day, cost_per_day };
}

/** `{value}` of a text of JSON, or `{error: {message, line}}`. */
export function parseJson(text) {
  try {
    return { value: JSON.parse(text) };
  } catch (failure) {
    const at = /position (\d+)/.exec(failure.message);
    const line = at ? text.slice(0, Number(at[1])).split("\n").length : null;
    const what = failure.message.replace(/^JSON\.parse: /, "").replace(/ in JSON at position.*$/, "").replace(/, (\.\.\.)?".*$/s, "");
    return { value: null, error: { line, message: line ? `This is not JSON yet: line ${line}. ${what}.` : `This is not JSON yet. ${what}.` } };
  }
}

/** JSON whose keys are in order, so that two values can be compared. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value && typeof value === "object") {
    return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
  }
  return JSON.stringify(value ?? null);
}

/** The fields of `body` that are otherwise than in `agent`: what a PATCH sends. */
export function changesOf(agent, body) {
  const before = toBody(toDraft(agent)).body;
  return Object.fromEntries(Object.entries(body).filter(([field, value]) => canonical(value) !== canonical(before[field])));
}

/** The mistakes that a problem names, by path, without the steps that name a variant of a schema. */
export function errorsOf(problem) {
  const errors = {};
  for (const { loc, msg } of problem?.errors ?? []) {
    const path = loc[0] === "body" ? loc.slice(1) : loc;
    const [field, second, third] = path;
    let kept = path;
    if (field === "memory" && typeof second === "string" && (second in MEMORY_FIELDS || second === "other")) kept = [field, ...path.slice(2)];
    if (field === "guardrails" && typeof third === "string" && /^(blocklist|pii|secrets|max_length|judge|other)$/.test(third)) kept = [field, second, ...path.slice(3)];
    if (field === "tools" && typeof third === "string") {
      if (third === "constrained-str") continue;
      if (third.startsWith("function-after")) kept = [field, second, ...path.slice(3)];
    }
    const key = kept.join(".");
    errors[key] ??= plain(msg);
  }
  return errors;
}

/** The service's words as a sentence: they follow a field's name there. */
function plain(message) {
  const sentence = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}

/** All mistakes at a path and below it, as one text; empty where there is none. */
export function errorAt(errors, path) {
  const found = Object.entries(errors).filter(([key]) => key === path || key.startsWith(`${path}.`));
  return [...new Set(found.map(([, message]) => message))].join(" ");
}
