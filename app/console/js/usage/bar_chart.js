// Bars over time, drawn in SVG. One stop of the tab key: arrows go from bar to bar, and what a bar stands for is read
// out, and shown above the chart. A table with the same numbers stands behind it.

import { html, useEffect, useRef, useState } from "../../vendor/preact.js";

const HEIGHT = 200;
const PLOT = { top: 8, bottom: 24, start: 52, end: 4 };
const LABEL_WIDTH = 72;
const LINES = 4;

/** The steps of an axis: round numbers from 0 to at least the greatest value. */
export function ticksFor(greatest, isWhole) {
  if (greatest <= 0) return [0, 1];
  const rough = greatest / LINES;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough && (!isWhole || size >= 1)) ?? 1;
  const ticks = [];
  for (let value = 0; value < greatest + step; value += step) ticks.push(Number(value.toPrecision(6)));
  return ticks;
}

function useWidth(ref) {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return width;
}

/**
 * `bars`: `[{key, short, label, values}]`, one value for each of `series`: `[{name, tone}]`, the lowest part first.
 * `format` makes a text of a value of the axis; `onPoint(bar or null)` is told which bar is pointed at or has the focus.
 */
export function BarChart({ label, bars, series, format, isWhole, onPoint }) {
  const frame = useRef(null);
  const width = useWidth(frame);
  const [at, setAt] = useState(bars.length - 1);
  const [pointed, setPointed] = useState(-1);
  const sums = bars.map((bar) => bar.values.reduce((sum, value) => sum + value, 0));
  const ticks = ticksFor(Math.max(0, ...sums), isWhole);
  const inner = Math.max(0, width - PLOT.start - PLOT.end);
  const slot = inner / Math.max(1, bars.length);
  const top = ticks[ticks.length - 1];
  const yOf = (value) => HEIGHT - PLOT.bottom - (value / top) * (HEIGHT - PLOT.top - PLOT.bottom);

  useEffect(() => setAt(bars.length - 1), [bars.length]);

  const point = (index) => {
    if (index === pointed) return;
    setPointed(index);
    onPoint(index < 0 ? null : bars[index]);
  };
  const onKey = (event) => {
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: bars.length - 1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const next = Math.min(bars.length - 1, Math.max(0, moves[event.key]));
    setAt(next);
    frame.current.querySelector(`[data-index="${next}"]`)?.focus();
  };
  const onMove = (event) => {
    const x = event.clientX - frame.current.getBoundingClientRect().left - PLOT.start;
    point(x < 0 || x >= inner ? -1 : Math.floor(x / slot));
  };

  return html`<div class="chart" ref=${frame} dir="ltr">
    <svg class="chart-drawing" width=${width} height=${HEIGHT} role="group" aria-label=${label}
      onKeyDown=${onKey} onPointerMove=${onMove} onPointerLeave=${() => point(-1)}>
      ${ticks.map(
        (value) => html`<g key=${value} aria-hidden="true">
          <line class=${value === 0 ? "chart-base" : "chart-line"} x1=${PLOT.start} x2=${width - PLOT.end} y1=${yOf(value)} y2=${yOf(value)} />
          <text class="chart-text" x=${PLOT.start - 8} y=${yOf(value) + 4} text-anchor="end">${format(value)}</text>
        </g>`,
      )}
      ${bars.map(
        (bar, index) => html`<${Bar} key=${bar.key} bar=${bar} index=${index} series=${series} x=${PLOT.start + index * slot} slot=${slot}
          yOf=${yOf} isAt=${index === at} isPointed=${index === pointed}
          onFocus=${() => { setAt(index); point(index); }} onBlur=${() => point(-1)} />`,
      )}
      ${labelled(bars, inner).map(
        (index) => html`<text key=${bars[index].key} class="chart-text" aria-hidden="true" x=${PLOT.start + (index + 0.5) * slot}
          y=${HEIGHT - 6} text-anchor="middle">${bars[index].short}</text>`,
      )}
    </svg>
  </div>`;
}

/** Which bars have room for a label below: as many as fit, at even distances. */
function labelled(bars, inner) {
  const room = Math.max(1, Math.floor(inner / LABEL_WIDTH));
  const step = Math.ceil(bars.length / room);
  return bars.map((_, index) => index).filter((index) => index % step === Math.floor(step / 2));
}

function Bar({ bar, index, series, x, slot, yOf, isAt, isPointed, onFocus, onBlur }) {
  const gap = slot > 6 ? Math.min(8, slot * 0.25) : slot > 3 ? 1 : 0;
  const thickness = Math.min(36, Math.max(1, slot - gap));
  const left = x + (slot - thickness) / 2;
  let below = 0;
  const parts = bar.values.map((value, part) => {
    const bottom = yOf(below);
    below += value;
    return { tone: series[part].tone, y: yOf(below), height: bottom - yOf(below) };
  });
  return html`<g class="chart-bar" data-index=${index} role="img" aria-label=${bar.label} tabindex=${isAt ? 0 : -1} onFocus=${onFocus} onBlur=${onBlur}>
    <rect class=${isPointed ? "chart-slot is-pointed" : "chart-slot"} x=${x} y=${PLOT.top} width=${slot} height=${HEIGHT - PLOT.top - PLOT.bottom} />
    ${parts
      .filter((part) => part.height > 0)
      .map((part) => html`<rect key=${part.tone} class=${`chart-part chart-tone-${part.tone}`} x=${left} y=${part.y} width=${thickness} height=${Math.max(1, part.height)} />`)}
  </g>`;
}

/** What the tones of a chart mean. */
export function Legend({ series }) {
  return html`<ul class="chart-legend">
    ${series.map((one) => html`<li key=${one.name}><span class=${`chart-key chart-tone-${one.tone}`} aria-hidden="true"></span>${one.name}</li>`)}
  </ul>`;
}
