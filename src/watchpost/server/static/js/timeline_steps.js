// The steps of a session as columns: what a timeline is drawn from and asked about. Fifty thousand of them are a few typed arrays.

/**
 * @typedef {{kinds: string[], severities: string[], step: number[], kind: number[], severity: number[]}} Flags
 * @typedef {object} Answer as /api/sessions/{key}/timeline gives it
 * @property {string} key
 * @property {number} revision
 * @property {string} state
 * @property {string | null} started_at
 * @property {number} steps
 * @property {number} after
 * @property {number | null} next
 * @property {string[]} kinds
 * @property {string[]} agents
 * @property {string[]} names
 * @property {string[]} statuses
 * @property {string[]} traces
 * @property {string[]} step_id
 * @property {number[]} trace
 * @property {number[]} parent
 * @property {number[]} start_us
 * @property {(number | null)[]} duration_us
 * @property {number[]} kind
 * @property {number[]} agent
 * @property {number[]} name
 * @property {number[]} status
 * @property {(number | null)[]} input_tokens
 * @property {(number | null)[]} output_tokens
 * @property {(string | null)[]} cost_usd
 * @property {Flags} flags
 */

/** From the most to the least severe. */
export const SEVERITIES = ["critical", "high", "error", "warning", "info"];

/** Agents that have a lane of their own; what others did shares one more. */
const MOST_LANES = 10;
/** Rows of a lane, for steps at the same time and steps within steps; what would be deeper is drawn in the last. */
const MOST_ROWS = 5;

const TABLES = /** @type {const} */ (["kinds", "agents", "names", "statuses", "traces"]);
const PLACED = /** @type {const} */ (["kind", "agent", "name", "status", "trace"]);
const PLAIN = /** @type {const} */ (["step_id", "parent", "start_us", "duration_us", "input_tokens", "output_tokens", "cost_usd"]);

/**
 * Whether a later answer goes on from one that is held: a step that came late to a place before moves the numbers of all after it.
 * @param {Answer} held
 * @param {Answer} later
 */
export function goesOn(held, later) {
  const { after, step_id } = later;
  return later.next === null && step_id[0] === held.step_id[after] && after + step_id.length === later.steps;
}

/**
 * One answer with another, later one behind its first `later.after` steps.
 * @param {Answer} held
 * @param {Answer} later
 * @returns {Answer}
 */
export function joined(held, later) {
  const at = later.after;
  /** @type {any} */
  const whole = { ...later, after: 0 };
  TABLES.forEach((table, n) => {
    const texts = [...held[table]];
    const places = new Map(texts.map((text, place) => [text, place]));
    const moved = later[table].map((text) => {
      const place = places.get(text) ?? texts.push(text) - 1;
      places.set(text, place);
      return place;
    });
    whole[table] = texts;
    whole[PLACED[n]] = held[PLACED[n]].slice(0, at).concat(later[PLACED[n]].map((place) => moved[place]));
  });
  for (const column of PLAIN) {
    whole[column] = /** @type {unknown[]} */ (held[column]).slice(0, at).concat(later[column]);
  }
  return whole;
}

/** @typedef {{label: string, first: number, rows: number}} Lane `first` is the first of its rows */

export class Steps {
  /** @param {Answer} answer all steps, from the first */
  constructor(answer) {
    this.answer = answer;
    const many = answer.step_id.length;
    this.many = many;
    this.kinds = answer.kinds;
    this.start = Float64Array.from(answer.start_us);
    this.end = new Float64Array(many);
    this.running = new Uint8Array(many);
    this.kind = Uint8Array.from(answer.kind);
    const failed = answer.statuses.indexOf("error");
    this.failed = Uint8Array.from(answer.status, (status) => (status === failed ? 1 : 0));
    let last = 0;
    for (let at = 0; at < many; at++) {
      const lasted = answer.duration_us[at];
      this.running[at] = lasted === null && answer.statuses[answer.status[at]] === "running" ? 1 : 0;
      this.end[at] = this.start[at] + (lasted ?? 0);
      last = Math.max(last, this.end[at]);
    }
    // what runs is drawn until the latest moment that is known
    for (let at = 0; at < many; at++) if (this.running[at]) this.end[at] = last;
    this.begin = many ? Math.min(0, this.start[0]) : 0;
    this.last = last > this.begin ? last : this.begin + 1000;
    /** How far the steps up to each reach; never falls, so that what reaches into a stretch is found by halving. */
    this.reach = new Float64Array(many);
    for (let at = 0, far = -Infinity; at < many; at++) this.reach[at] = far = Math.max(far, this.end[at]);
    const { lanes, lane, row, rows } = laid(answer, this.start, this.end);
    this.lanes = lanes;
    this.lane = lane;
    this.row = row;
    this.rows = rows;
    const { flags } = answer;
    const ranks = flags.severities.map((severity) => SEVERITIES.indexOf(severity));
    this.flagged = Int32Array.from(flags.step, (number) => number - 1);
    this.flagRank = Uint8Array.from(flags.severity, (severity) => ranks[severity]);
    /** @type {Map<number, number[]>} */
    this.flagsOf = new Map();
    this.flagged.forEach((at, flag) => this.flagsOf.set(at, [...(this.flagsOf.get(at) ?? []), flag]));
    const order = Uint32Array.from({ length: many }, (_, at) => at).sort((a, b) => this.end[a] - this.end[b] || a - b);
    this.ended = Float64Array.from(order, (at) => this.end[at]);
    this.sums = {
      input: summed(answer.input_tokens, order),
      output: summed(answer.output_tokens, order),
      cost: summed(answer.cost_usd, order),
    };
  }

  /**
   * The step of the next flag, or of the one before; -1 where there is none.
   * @param {number} at
   * @param {boolean} onwards
   */
  nextFlag(at, onwards) {
    const { flagged } = this;
    return (onwards ? flagged.find((one) => one > at) : flagged.findLast((one) => one < at || at < 0)) ?? -1;
  }

  /**
   * How many steps have ended at a moment.
   * @param {number} moment microseconds since the session began
   */
  endedBy(moment) {
    return firstAbove(this.ended, moment);
  }

  /**
   * The steps that may be seen in a stretch of time: from the first up to before the second.
   * @param {number} from
   * @param {number} to
   * @returns {[number, number]}
   */
  between(from, to) {
    return [firstAtLeast(this.reach, from), firstAbove(this.start, to)];
  }

  /**
   * The place of a step, -1 where there is none.
   * @param {string} id
   * @param {string} [trace]
   */
  find(id, trace) {
    const { step_id, traces, trace: of } = this.answer;
    for (let at = step_id.indexOf(id); at >= 0; at = step_id.indexOf(id, at + 1)) {
      if (!trace || traces[of[at]] === trace) return at;
    }
    return -1;
  }

  /** How much of the time anything was done, as a share. */
  busy() {
    let sum = 0;
    for (let at = 0; at < this.many; at++) {
      const from = Math.max(this.start[at], at ? this.reach[at - 1] : -Infinity);
      sum += Math.max(this.end[at] - from, 0);
    }
    return sum / (this.last - this.begin);
  }

  /** Where to look first: the gravest flag, else the first error, else nowhere. */
  suspect() {
    let worst = -1;
    for (let flag = 0; flag < this.flagged.length; flag++) {
      if (worst < 0 || this.flagRank[flag] < this.flagRank[worst]) worst = flag;
    }
    return worst >= 0 ? this.flagged[worst] : this.failed.indexOf(1);
  }
}

/**
 * Which lane and row each step is drawn in.
 * @param {Answer} answer
 * @param {Float64Array} start
 * @param {Float64Array} end
 */
function laid(answer, start, end) {
  const many = start.length;
  /** @type {Map<number, number>} */
  const tally = new Map();
  for (const agent of answer.agent) tally.set(agent, (tally.get(agent) ?? 0) + 1);
  let own = [...tally];
  if (own.length > MOST_LANES) {
    const most = new Set([...own].sort((a, b) => b[1] - a[1]).slice(0, MOST_LANES - 1));
    own = own.filter((one) => most.has(one));
  }
  const others = tally.size - own.length;
  const laneOf = new Map(own.map(([agent], place) => [agent, place]));
  /** @type {number[][]} when each row of each lane is free again */
  const free = Array.from({ length: own.length + (others ? 1 : 0) }, () => []);
  const lane = new Uint8Array(many);
  const depth = new Uint8Array(many);
  for (let at = 0; at < many; at++) {
    lane[at] = laneOf.get(answer.agent[at]) ?? own.length;
    const rows = free[lane[at]];
    const above = answer.parent[at] - 1;
    let row = above >= 0 && lane[above] === lane[at] ? Math.min(depth[above] + 1, MOST_ROWS - 1) : 0;
    while (row < MOST_ROWS - 1 && rows[row] > start[at]) row++;
    for (let before = rows.length; before < row; before++) rows[before] = -Infinity;
    rows[row] = Math.max(rows[row] ?? -Infinity, end[at]);
    depth[at] = row;
  }
  let rows = 0;
  /** @type {Lane[]} */
  const lanes = free.map((taken, place) => {
    const label = place < own.length ? answer.agents[own[place][0]] || "agent not named" : `${others} other agents`;
    rows += taken.length;
    return { label, first: rows - taken.length, rows: taken.length };
  });
  return { lanes, lane, rows, row: depth.map((row, at) => row + lanes[lane[at]].first) };
}

/**
 * What is used of something by the steps that ended first, and by the first steps.
 * @param {(number | string | null)[]} column
 * @param {Uint32Array} order the steps as they ended
 */
function summed(column, order) {
  const many = column.length;
  const byEnd = new Float64Array(many + 1);
  const byStep = new Float64Array(many + 1);
  for (let n = 0; n < many; n++) {
    byEnd[n + 1] = byEnd[n] + Number(column[order[n]] ?? 0);
    byStep[n + 1] = byStep[n] + Number(column[n] ?? 0);
  }
  return { byEnd, byStep, total: byEnd[many], known: column.some((value) => value !== null) };
}

/**
 * The first place in a list that never falls whose value is at least so much.
 * @param {Float64Array} list
 * @param {number} least
 */
export function firstAtLeast(list, least) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The first place in a list that never falls whose value is more than so much.
 * @param {Float64Array} list
 * @param {number} most
 */
export function firstAbove(list, most) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] <= most) low = middle + 1;
    else high = middle;
  }
  return low;
}
