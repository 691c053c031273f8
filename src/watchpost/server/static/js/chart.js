// <wp-chart data-chart='{...}'>: figures over time, drawn by uPlot. What it draws stands in the attribute; the page has the same figures as a table.
//
// {unit, times: [Unix seconds], series: [{label, values, dashed}], marks: [{at, label}], step, href, bars}. A null among the values is a gap.
// `href` leads to what is behind a point, with {since} and {until} in it for the point's window, which lasts `step` seconds.
import { colour } from "./themes.js";

/**
 * @typedef {{label: string, values: (number | null)[], dashed?: boolean}} Line
 * @typedef {{at: number, label: string}} Mark
 * @typedef {{unit: string, times: number[], series: Line[], marks: Mark[], step: number, href: string, bars?: boolean}} Chart
 * @typedef {import("uplot")} Plot
 */

const HEIGHT = 220;
const SERIES = 8;
const FEW = 40;
const DAY_S = 86_400;
const BARS = { width: 0, points: { show: false } };

class ChartElement extends HTMLElement {
  static observedAttributes = ["data-chart"];

  constructor() {
    super();
    /** @type {Plot | null} */
    this.plot = null;
    this.place = document.createElement("div");
    this.place.setAttribute("aria-hidden", "true");
    const root = this.attachShadow({ mode: "open" });
    for (const sheet of ["../vendor/uplot.css", "../css/chart.css"]) {
      const link = document.createElement("link");
      link.rel = "stylesheet";
      link.href = new URL(sheet, import.meta.url).href;
      root.append(link);
    }
    root.append(this.place);
    this.sizes = new ResizeObserver(() => this.plot?.setSize({ width: this.clientWidth, height: this.tall() }));
    this.draw = this.draw.bind(this);
  }

  connectedCallback() {
    this.sizes.observe(this);
    window.addEventListener("themechange", this.draw);
    this.draw();
  }

  disconnectedCallback() {
    this.sizes.disconnect();
    window.removeEventListener("themechange", this.draw);
    this.plot?.destroy();
    this.plot = null;
  }

  attributeChangedCallback() {
    if (this.isConnected) this.draw();
  }

  tall() {
    return Number(this.dataset.height) || HEIGHT;
  }

  draw() {
    const Plotter = /** @type {typeof import("uplot") | undefined} */ (/** @type {any} */ (globalThis).uPlot);
    const text = this.dataset.chart;
    if (!Plotter || !text) return;
    this.plot?.destroy();
    /** @type {Chart} */
    const chart = JSON.parse(text);
    const faint = colour(this, "--faint");
    const line = colour(this, "--line");
    const axis = {
      stroke: faint,
      font: "11px system-ui, sans-serif",
      grid: { stroke: line, width: 1 },
      ticks: { stroke: line, width: 1, size: 4 },
    };
    this.plot = new Plotter(
      {
        width: this.clientWidth || 600,
        height: this.tall(),
        cursor: { y: false, points: { size: 6 } },
        legend: { show: this.dataset.legend !== "off", live: true },
        tzDate: (seconds) => Plotter.tzDate(new Date(seconds * 1000), "Etc/UTC"),
        scales: { ...(chart.bars && { x: { range: (_, low, high) => [low - chart.step * 0.6, high + chart.step * 0.6] } }), y: { range: (_, low, high) => [Math.min(low ?? 0, 0), (high ?? 0) > 0 ? high * 1.08 : 1] } },
        series: [
          { label: "UTC", value: chart.step >= DAY_S ? "{YYYY}-{MM}-{DD}" : "{YYYY}-{MM}-{DD} {HH}:{mm}" },
          ...chart.series.map((one, at) => ({
            label: one.label,
            stroke: one.dashed ? faint : colour(this, `--series-${(at % SERIES) + 1}`),
            width: one.dashed ? 1.25 : 1.75,
            dash: one.dashed ? [4, 4] : undefined,
            points: { show: !one.dashed, size: 5, filter: chart.times.length < FEW ? undefined : () => alone(one.values) },
            value: (/** @type {unknown} */ _, /** @type {number | null} */ value) => told(value, chart.unit),
            ...(chart.bars && { ...BARS, paths: Plotter.paths.bars?.({ size: [0.7, 60] }), fill: colour(this, `--series-${(at % SERIES) + 1}`) }),
          })),
        ],
        axes: [
          { ...axis, space: 70, values: (_, splits) => moments(splits) },
          { ...axis, size: 62, values: (_, marks) => marks.map((mark) => told(mark, chart.unit)) },
        ],
        hooks: {
          draw: [(plot) => this.drawMarks(plot, chart.marks)],
          ready: [(plot) => atRest(plot, latest(chart))],
          setCursor: [(plot) => atRest(plot, latest(chart))],
        },
      },
      /** @type {import("uplot").AlignedData} */ ([chart.times, ...chart.series.map((one) => one.values)]),
      this.place,
    );
    if (chart.href) this.leadOn(this.plot, chart);
  }

  /**
   * Releases, as lines across the chart with their names.
   * @param {Plot} plot
   * @param {Mark[]} marks
   */
  drawMarks(plot, marks) {
    const { ctx, bbox } = plot;
    const scale = devicePixelRatio;
    ctx.save();
    const ink = (ctx.strokeStyle = colour(this, "--warn"));
    const paper = colour(this, "--paper");
    ctx.font = `${11 * scale}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    ctx.setLineDash([3 * scale, 3 * scale]);
    let free = -Infinity;
    for (const mark of marks) {
      const x = Math.round(plot.valToPos(mark.at, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const wide = ctx.measureText(mark.label).width;
      const beside = 5 * scale;
      const left = x + beside + wide <= bbox.left + bbox.width ? x + beside : x - beside - wide;
      if (left > free) {
        ctx.fillStyle = paper;
        ctx.fillRect(left - 2 * scale, bbox.top, wide + 4 * scale, 15 * scale);
        ctx.fillStyle = ink;
        ctx.fillText(mark.label, left, bbox.top + 11 * scale);
        free = Math.max(x, left + wide) + beside;
      }
    }
    ctx.restore();
  }

  /**
   * A click on a point leads to what is behind it.
   * @param {Plot} plot
   * @param {Chart} chart
   */
  leadOn(plot, chart) {
    plot.over.style.cursor = "pointer";
    /** @type {number | null} */
    let pressed = null;
    plot.over.addEventListener("mousedown", (event) => {
      pressed = event.clientX;
    });
    plot.over.addEventListener("mouseup", (event) => {
      const at = plot.cursor.idx;
      if (pressed === null || Math.abs(event.clientX - pressed) > 4 || at == null) return;
      const moment = (/** @type {number} */ seconds) => encodeURIComponent(new Date(seconds * 1000).toISOString());
      const since = chart.times[at];
      location.assign(chart.href.replace("{since}", moment(since)).replace("{until}", moment(since + chart.step)));
    });
  }
}

/**
 * The last place at which any line has a value.
 * @param {Chart} chart
 */
function latest(chart) {
  return Math.max(...chart.series.map((one) => one.values.findLastIndex((value) => value != null)));
}

/**
 * While nothing is pointed at, the legend tells the latest values.
 * @param {Plot} plot
 * @param {number} at
 */
function atRest(plot, at) {
  if (plot.cursor.idx == null && at >= 0) plot.setLegend({ idx: at }, false);
}

/**
 * The places of values without a neighbour, which no line would show.
 * @param {(number | null)[]} values
 */
function alone(values) {
  return values.flatMap((value, at) => (value != null && values[at - 1] == null && values[at + 1] == null ? [at] : []));
}

/**
 * Moments for an axis, in UTC; the day stands where it begins, and alone where all are midnights.
 * @param {number[]} splits Unix seconds
 */
function moments(splits) {
  if (splits.length > 1 && splits.every((at) => at % DAY_S === 0)) {
    return splits.map((at) => new Date(at * 1000).toISOString().slice(5, 10));
  }
  let day = "";
  return splits.map((at) => {
    const moment = new Date(at * 1000).toISOString();
    const begins = moment.slice(5, 10) !== day;
    day = moment.slice(5, 10);
    return `${moment.slice(11, 16)}${begins ? `\n${day}` : ""}`;
  });
}

/**
 * A figure with its unit, short enough for an axis.
 * @param {number | null} value
 * @param {string} unit
 */
export function told(value, unit) {
  if (value == null) return "–";
  switch (unit) {
    case "usd":
      return `$${value !== 0 && Math.abs(value) < 0.01 ? value.toPrecision(2) : value.toLocaleString("en", { minimumFractionDigits: value % 1 ? 2 : 0, maximumFractionDigits: Math.abs(value) < 1 ? 4 : 2 })}`;
    case "share":
      return `${+(value * 100).toPrecision(3)} %`;
    case "seconds":
      return value !== 0 && Math.abs(value) < 1 ? `${+(value * 1000).toPrecision(3)} ms` : `${+value.toPrecision(3)} s`;
    case "bytes":
      return bytes(value);
    default:
      return short(value);
  }
}

/** @param {number} value */
function bytes(value) {
  const power = Math.max(Math.min(Math.floor(Math.log10(Math.abs(value) || 1) / 3), 4), 0);
  return `${+(value / 1000 ** power).toPrecision(3)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

/** @param {number} value */
function short(value) {
  return value.toLocaleString("en", { notation: Math.abs(value) < 10_000 ? "standard" : "compact", maximumSignificantDigits: 4 });
}

customElements.define("wp-chart", ChartElement);
