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
