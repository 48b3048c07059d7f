// Lists in an order that people choose.

/** The list with the entry at `index` one place further up (-1) or down (1). */
export function moved(list, index, by) {
  const next = [...list];
  const [entry] = next.splice(index, 1);
  next.splice(index + by, 0, entry);
  return next;
}
