// How a timeline is drawn on a canvas: bars of steps in rows, marks of flags, what was used until when, and the axis.
//
// Bars narrower than a pixel and a half are not drawn one by one: each pixel of a row shows the kind that fills most of it, fainter where
// little of it is filled. So a frame costs as many rectangles as there are pixels, however many steps there are.
import { colour } from "./themes.js";
import { counted, tick, visible } from "./timeline_texts.js";

/**
 * @typedef {import("./timeline_steps.js").Steps} Steps
 * @typedef {{from: number, to: number, bySteps: boolean}} View what is seen: microseconds since the session began, or places of steps
 * @typedef {{left: number, width: number, tops: number[], tall: number}} Place where bars go: across, and the top and height of each row
 * @typedef {{x: number, at: number, rank: number, many: number}} Mark the gravest of the flags at one place, at the step `at`
 */

const ROLES = {
  paper: "--paper",
  ink: "--ink",
  faint: "--faint",
  line: "--line",
  edge: "--edge",
  accent: "--accent",
  bad: "--bad-solid",
  warn: "--warn",
  live: "--live",
  on: "--on-accent",
  sunk: "--sunk",
  input: "--series-1",
  output: "--series-3",
  cost: "--series-2",
};

/** @type {Record<string, string>} */
export const KIND_ROLES = {
  llm: "--series-1",
  tool: "--series-3",
  handoff: "--series-4",
  retrieval: "--series-5",
  guardrail: "--series-6",
  evaluation: "--series-7",
  state: "--series-8",
  human: "--series-2",
};

/** @typedef {Record<keyof typeof ROLES, string> & {kinds: string[]}} Colours */

const ALPHAS = [0.4, 0.7, 1];
const NARROW = 1.5;
const MARK = 5;
const FONT = "11px system-ui, -apple-system, 'Segoe UI', sans-serif";
const LETTER = 6.1;
/** What conventions put before the name of a tool or model, which the colour of a bar says already. */
const PREFIX = /^(execute_tool|chat|invoke_agent) (?=.)/;

/**
 * What the roles of colour are now, as a canvas takes them.
 * @param {Element} beside
 * @param {string[]} kinds
 * @returns {Colours}
 */
export function coloursOf(beside, kinds) {
  const found = Object.fromEntries(Object.entries(ROLES).map(([name, role]) => [name, colour(beside, role)]));
  const ofKinds = kinds.map((kind) => colour(beside, KIND_ROLES[kind] ?? "--faint"));
  return /** @type {Colours} */ (/** @type {unknown} */ ({ ...found, kinds: ofKinds }));
}

/**
 * Where a step stands, in pixels.
 * @param {Steps} steps
 * @param {number} at
 * @param {View} view
 * @param {Place} place
 */
export function boxOf(steps, at, view, place) {
  const scale = place.width / (view.to - view.from);
  const begin = view.bySteps ? at : steps.start[at];
  const end = view.bySteps ? at + 1 : steps.end[at];
  const x = place.left + (begin - view.from) * scale;
  return { x, y: place.tops[steps.row[at]], width: Math.max((end - begin) * scale, 1), height: place.tall };
}

/**
 * The steps that may be seen: from the first up to before the second.
 * @param {Steps} steps
 * @param {View} view
 * @returns {[number, number]}
 */
export function seen(steps, view) {
  if (!view.bySteps) return steps.between(view.from, view.to);
  return [Math.max(Math.floor(view.from), 0), Math.min(Math.ceil(view.to), steps.many)];
}

/**
 * @param {CanvasRenderingContext2D} on
 * @param {Steps} steps
 * @param {View} view
 * @param {Place} place
 * @param {Colours} colours
 * @param {boolean} named whether bars that are wide enough bear their names
 */
export function drawBars(on, steps, view, place, colours, named) {
  const { start, end, row, kind, failed, running } = steps;
  const { left, width, tops, tall } = place;
  const { from, bySteps } = view;
  const scale = width / (view.to - from);
  const right = left + width;
  const kinds = steps.kinds.length;
  const rows = tops.length;
  /** @type {number[][]} x, y and width of rectangles, by kind and faintness */
  const filled = Array.from({ length: kinds * ALPHAS.length }, () => []);
  /** @type {number[]} */
  const errors = [];
  /** @type {number[]} */
  const open = [];
  /** @type {number[]} x, width, y and step */
  const texts = [];

  // the pixel that each row is in, how much of it each kind fills, and the run of like pixels before it
  const pixel = new Int32Array(rows).fill(-1);
  const weight = new Float64Array(rows * kinds);
  const runLook = new Int32Array(rows).fill(-1);
  const runFrom = new Int32Array(rows);
  const runTo = new Int32Array(rows);
  const lastError = new Int32Array(rows).fill(-1);

  const endRun = (/** @type {number} */ r) => {
    if (runLook[r] >= 0) filled[runLook[r]].push(runFrom[r], tops[r], runTo[r] - runFrom[r]);
    runLook[r] = -1;
  };
  const endPixel = (/** @type {number} */ r) => {
    if (pixel[r] < 0) return;
    let most = 0;
    let whole = 0;
    for (let k = 0, cell = r * kinds; k < kinds; k++, cell++) {
      whole += weight[cell];
      if (weight[cell] > weight[r * kinds + most]) most = k;
    }
    weight.fill(0, r * kinds, (r + 1) * kinds);
    const look = most * ALPHAS.length + (whole > 0.6 ? 2 : whole > 0.2 ? 1 : 0);
    if (look !== runLook[r] || runTo[r] !== pixel[r]) {
      endRun(r);
      runLook[r] = look;
      runFrom[r] = pixel[r];
    }
    runTo[r] = pixel[r] + 1;
    pixel[r] = -1;
  };

  const [first, beyond] = seen(steps, view);
  for (let at = first; at < beyond; at++) {
    const begins = bySteps ? at : start[at];
    const ends = bySteps ? at + 1 : end[at];
    if (ends < from) continue;
    const r = row[at];
    let x = left + (begins - from) * scale;
    let wide = (ends - begins) * scale;
    if (wide < NARROW && !running[at]) {
      const here = x < left ? left : x | 0;
      if (here !== pixel[r]) {
        endPixel(r);
        pixel[r] = here;
      }
      weight[r * kinds + kind[at]] += wide > 0.05 ? wide : 0.05;
      if (failed[at] && lastError[r] !== here) {
        lastError[r] = here;
        errors.push(here, tops[r], 1);
      }
      continue;
    }
    if (bySteps) wide -= Math.min(wide * 0.18, 2);
    if (x < left) {
      wide -= left - x;
      x = left;
    }
    if (x + wide > right) wide = right - x;
    if (wide < 1) wide = 1;
    if (running[at]) open.push(x, tops[r], wide);
    else filled[kind[at] * ALPHAS.length + 2].push(x, tops[r], wide);
    if (failed[at]) errors.push(x, tops[r], wide);
    if (named && wide > 36 && tall >= 12) texts.push(x, wide, tops[r], at);
  }
  for (let r = 0; r < rows; r++) {
    endPixel(r);
    endRun(r);
  }

  filled.forEach((rectangles, look) => {
    on.fillStyle = colours.kinds[Math.floor(look / ALPHAS.length)];
    on.globalAlpha = ALPHAS[look % ALPHAS.length];
    for (let n = 0; n < rectangles.length; n += 3) on.fillRect(rectangles[n], rectangles[n + 1], rectangles[n + 2], tall);
  });
  on.globalAlpha = 1;
  drawOpen(on, open, tall, colours);
  drawErrors(on, errors, tall, colours);
  drawNames(on, steps, texts, tall, colours);
}

/**
 * Steps that run: an outline that is not closed at its end.
 * @param {CanvasRenderingContext2D} on
 * @param {number[]} bars
 * @param {number} tall
 * @param {Colours} colours
 */
function drawOpen(on, bars, tall, colours) {
  on.strokeStyle = on.fillStyle = colours.live;
  on.lineWidth = 1.5;
  for (let n = 0; n < bars.length; n += 3) {
    const [x, y, wide] = bars.slice(n, n + 3);
    on.globalAlpha = 0.25;
    on.fillRect(x, y, wide, tall);
    on.globalAlpha = 1;
    on.beginPath();
    on.moveTo(x + wide, y + 0.75);
    on.lineTo(x + 0.75, y + 0.75);
    on.lineTo(x + 0.75, y + tall - 0.75);
    on.lineTo(x + wide, y + tall - 0.75);
    on.stroke();
  }
}

/**
 * Failed steps: hatched where there is room, else a stroke that reaches below its row.
 * @param {CanvasRenderingContext2D} on
 * @param {number[]} bars
 * @param {number} tall
 * @param {Colours} colours
 */
function drawErrors(on, bars, tall, colours) {
  for (let n = 0; n < bars.length; n += 3) {
    const [x, y, wide] = bars.slice(n, n + 3);
    on.fillStyle = colours.bad;
    if (wide < 5) {
      on.fillRect(x, y + tall / 2, Math.max(wide, 1.5), tall / 2 + 3);
      continue;
    }
    on.fillRect(x, y, wide, tall);
    on.save();
    on.beginPath();
    on.rect(x, y, wide, tall);
    on.clip();
    on.strokeStyle = colours.paper;
    on.globalAlpha = 0.5;
    on.lineWidth = 1.5;
    on.beginPath();
    for (let line = x - tall; line < x + wide; line += 6) {
      on.moveTo(line, y + tall);
      on.lineTo(line + tall, y);
    }
    on.stroke();
    on.restore();
    on.fillRect(x, y + tall, wide, 2);
  }
}

/**
 * @param {CanvasRenderingContext2D} on
 * @param {Steps} steps
 * @param {number[]} texts
 * @param {number} tall
 * @param {Colours} colours
 */
function drawNames(on, steps, texts, tall, colours) {
  const { answer } = steps;
  on.font = FONT;
  on.textBaseline = "middle";
  for (let n = 0; n < texts.length; n += 4) {
    const [x, wide, y, at] = texts.slice(n, n + 4);
    const letters = Math.floor((wide - 8) / LETTER);
    const name = visible(answer.names[answer.name[at]]).replace(PREFIX, "");
    const text = name.length <= letters ? name : `${name.slice(0, letters - 1)}…`;
    const middle = y + tall / 2 + 0.5;
    if (steps.failed[at]) {
      on.fillStyle = colours.bad;
      on.fillRect(x + 2, y + 1, Math.min(text.length * LETTER + 5, wide - 2), tall - 2);
    }
    on.fillStyle = steps.running[at] ? colours.ink : colours.on;
    on.fillText(text, x + 4, middle, wide - 6);
  }
}

/**
 * Marks of flags along one line; those that would touch become one. Answers where they stand.
 * @param {CanvasRenderingContext2D} on
 * @param {Steps} steps
 * @param {View} view
 * @param {Place} place
 * @param {number} y
 * @param {Colours} colours
 * @returns {Mark[]}
 */
export function drawFlags(on, steps, view, place, y, colours) {
  const scale = place.width / (view.to - view.from);
  const right = place.left + place.width;
  /** @type {Mark[]} */
  const marks = [];
  for (let flag = 0; flag < steps.flagged.length; flag++) {
    const at = steps.flagged[flag];
    const x = place.left + ((view.bySteps ? at + 0.5 : steps.start[at]) - view.from) * scale;
    if (x < place.left - MARK || x > right + MARK) continue;
    const rank = steps.flagRank[flag];
    const last = marks.at(-1);
    if (last && x - last.x < MARK * 2) {
      last.many++;
      if (rank < last.rank) {
        last.rank = rank;
        last.at = at;
      }
    } else marks.push({ x, at, rank, many: 1 });
  }
  for (const mark of marks) {
    const foot = place.tops[steps.row[mark.at]];
    on.strokeStyle = markColour(mark.rank, colours);
    on.lineWidth = 1;
    on.globalAlpha = 0.45;
    on.beginPath();
    on.moveTo(mark.x, y + MARK);
    on.lineTo(mark.x, foot);
    on.stroke();
    on.globalAlpha = 1;
    drawMark(on, mark.x, y, mark.rank, colours);
  }
  return marks;
}

/**
 * @param {number} rank
 * @param {Colours} colours
 */
function markColour(rank, colours) {
  return rank <= 2 ? colours.bad : rank === 3 ? colours.warn : colours.faint;
}

/**
 * A severity by its shape: a triangle for critical, a diamond for high and error, a disk for a warning, else a ring.
 * @param {CanvasRenderingContext2D} on
 * @param {number} x
 * @param {number} y
 * @param {number} rank
 * @param {Colours} colours
 */
function drawMark(on, x, y, rank, colours) {
  on.fillStyle = on.strokeStyle = markColour(rank, colours);
  on.beginPath();
  if (rank === 0) {
    on.moveTo(x, y - MARK);
    on.lineTo(x + MARK, y + MARK * 0.8);
    on.lineTo(x - MARK, y + MARK * 0.8);
  } else if (rank <= 2) {
    on.moveTo(x, y - MARK);
    on.lineTo(x + MARK, y);
    on.lineTo(x, y + MARK);
    on.lineTo(x - MARK, y);
  } else {
    on.arc(x, y, MARK * 0.8, 0, Math.PI * 2);
  }
  on.closePath();
  if (rank > 3) {
    on.lineWidth = 1.5;
    on.stroke();
  } else on.fill();
}

/** The lines beneath the bars: what each adds up, and how it is dashed. */
export const SUMS = /** @type {const} */ ([
  ["input", []],
  ["output", [5, 2]],
  ["cost", [2, 2]],
]);

/**
 * How many steps have been counted at a place across: what they used is used up to there.
 * @param {Steps} steps
 * @param {View} view
 * @param {number} there
 */
export function placeOf(steps, view, there) {
  return view.bySteps ? Math.min(Math.max(Math.floor(there), 0), steps.many) : steps.endedBy(there);
}

/**
 * What was used until when, each as a share of what is used in all that is seen.
 * @param {CanvasRenderingContext2D} on
 * @param {Steps} steps
 * @param {View} view
 * @param {Place} place
 * @param {number} top
 * @param {number} tall
 * @param {Colours} colours
 */
export function drawSums(on, steps, view, place, top, tall, colours) {
  const bottom = top + tall;
  on.lineWidth = 1;
  on.strokeStyle = colours.line;
  on.beginPath();
  on.moveTo(place.left, bottom + 0.5);
  on.lineTo(place.left + place.width, bottom + 0.5);
  on.stroke();
  const places = new Uint32Array(Math.floor(place.width) + 1);
  for (let x = 0; x < places.length; x++) {
    places[x] = placeOf(steps, view, view.from + (x / place.width) * (view.to - view.from));
  }
  on.lineWidth = 1.5;
  for (const [name, dash] of SUMS) {
    const sums = view.bySteps ? steps.sums[name].byStep : steps.sums[name].byEnd;
    const least = sums[places[0]];
    const total = sums[places[places.length - 1]] - least;
    if (!(total > 0)) continue;
    on.strokeStyle = colours[name];
    on.setLineDash(/** @type {number[]} */ (/** @type {unknown} */ (dash)));
    on.beginPath();
    let before = -1;
    places.forEach((many, x) => {
      const y = bottom - (tall - 2) * ((sums[many] - least) / total);
      if (before >= 0 && before !== y) on.lineTo(place.left + x, before);
      if (before !== y || x === places.length - 1) on.lineTo(place.left + x, y);
      before = y;
    });
    on.stroke();
  }
  on.setLineDash([]);
}

const SECOND = 1e6;
const ROUND = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400].map((s) => s * SECOND);

/**
 * Lines across and their labels beneath.
 * @param {CanvasRenderingContext2D} on
 * @param {View} view
 * @param {Place} place
 * @param {number} top
 * @param {number} bottom
 * @param {Colours} colours
 */
export function drawAxis(on, view, place, top, bottom, colours) {
  const span = view.to - view.from;
  const least = (span * 84) / place.width;
  const power = 10 ** Math.floor(Math.log10(least));
  const round = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= least) ?? least;
  const every = view.bySteps ? Math.max(round, 1) : least < SECOND ? round : (ROUND.find((n) => n >= least) ?? round);
  on.strokeStyle = colours.line;
  on.fillStyle = colours.faint;
  on.font = FONT;
  on.textBaseline = "alphabetic";
  on.lineWidth = 1;
  on.beginPath();
  for (let n = Math.ceil(view.from / every); n * every <= view.to; n++) {
    const value = n * every;
    const middle = view.bySteps ? value - 0.5 : value;
    const x = Math.round(place.left + ((middle - view.from) / span) * place.width) + 0.5;
    if (x < place.left || (view.bySteps && value < 1)) continue;
    on.moveTo(x, top);
    on.lineTo(x, bottom);
    const label = view.bySteps ? `#${counted(value)}` : tick(value, every);
    const wide = on.measureText(label).width;
    on.fillText(label, Math.min(x + 3, place.left + place.width - wide), bottom + 12);
  }
  on.stroke();
}
