// Arguments and results of tools as text.

/** A value as text for people: JSON indented, texts as they are, texts that are JSON too. */
export function pretty(value) {
  if (typeof value !== "string") return JSON.stringify(value, null, 2);
  const text = value.trim();
  if (!/^[[{]/.test(text)) return value;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return value;
  }
}

/** Whether it is an object or a list with nothing in it. */
export const isEmpty = (value) => value && typeof value === "object" && Object.keys(value).length === 0;
