// Numbers as people read them, in the language of the page.

const LANGUAGE = document.documentElement.lang || "en";

const whole = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat(LANGUAGE, { notation: "compact", maximumSignificantDigits: 3 });
const share = new Intl.NumberFormat(LANGUAGE, { style: "percent", maximumFractionDigits: 0 });

/** What stands where there is no number. */
export const NONE = "–";

const isNone = (value) => value === null || value === undefined;

/** 1234567 → "1,234,567". */
export const formatCount = (value) => (isNone(value) ? NONE : whole.format(value));

/** 1234567 → "1.23M". */
export const formatShort = (value) => (isNone(value) ? NONE : compact.format(value));

/** 0.42 → "42%"; a share that is small, but not nothing, is no 0%. */
export function formatShare(value) {
  if (isNone(value)) return NONE;
  return value > 0 && value < 0.01 ? `<${share.format(0.01)}` : share.format(value);
}

/** Dollars, a number or a decimal text: "12.3456" → "$12.35", "0.00123" → "$0.0012". */
export function formatMoney(amount) {
  if (isNone(amount)) return NONE;
  const value = Number(amount);
  const small = value !== 0 && Math.abs(value) < 1;
  const digits = small ? { minimumSignificantDigits: 2, maximumSignificantDigits: 2 } : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return new Intl.NumberFormat(LANGUAGE, { style: "currency", currency: "USD", ...digits }).format(value);
}

const BYTE_UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/** 20480 → "20.5 kB". */
export function formatBytes(size) {
  if (isNone(size)) return NONE;
  let value = size;
  let unit = 0;
  while (value >= 1000 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const form = { style: "unit", unit: BYTE_UNITS[unit], unitDisplay: unit === 0 ? "long" : "short", maximumSignificantDigits: 3 };
  return new Intl.NumberFormat(LANGUAGE, form).format(value);
}

/** Seconds: 0.42 → "420 ms", 42 → "42 s", 150 → "2 min 30 s", 7300 → "2 h 1 min", 200000 → "2 d 7 h". */
export function formatDuration(seconds) {
  if (isNone(seconds)) return NONE;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let left = Math.round(seconds);
  const first = Math.max(0, units.findIndex(([, size]) => left >= size));
  const words = [];
  for (const [name, size] of units.slice(first, first + 2)) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) words.push(`${count} ${name}`);
  }
  return words.join(" ");
}

const dayLong = new Intl.DateTimeFormat(LANGUAGE, { weekday: "short", day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
const dayShort = new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short", timeZone: "UTC" });
const timeLong = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "medium" });

/** A day of UTC, "2026-11-03" → "Tue, November 3, 2026". */
export const formatDay = (day) => dayLong.format(new Date(`${day}T00:00:00Z`));

/** "2026-11-03" → "Nov 3". */
export const formatDayShort = (day) => dayShort.format(new Date(`${day}T00:00:00Z`));

/** A time, in the reader's zone. */
export const formatTime = (time) => (time ? timeLong.format(new Date(time)) : NONE);

/** "1 call", "2 calls". */
export const counted = (count, one, many = `${one}s`) => `${formatCount(count)} ${count === 1 ? one : many}`;
