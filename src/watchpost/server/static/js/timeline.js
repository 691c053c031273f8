// <wp-timeline src="/api/sessions/KEY/timeline">: the steps of a session along time, or one beside the other, drawn on a canvas.
//
// Agents are lanes. Flags stand on top, what was used until when beneath, all of it in small above. Its steps stand on the page as a table too.
// It tells of a step that somebody selected by the event `stepchosen`, {id, trace, number}, `trace` empty where there is one alone;
// `choose(id, trace)` selects one.
import { boxOf, coloursOf, drawAxis, drawBars, drawFlags, drawSums, seen } from "./timeline_drawing.js";
import { listenTo } from "./timeline_hands.js";
import { StepPanel } from "./timeline_panel.js";
import { StepSource } from "./timeline_source.js";
import { Steps } from "./timeline_steps.js";
import { after, counted, lasting, made, visible } from "./timeline_texts.js";
import { brief, legend, sentence, used, usedWithin } from "./timeline_words.js";

/** @typedef {import("./timeline_steps.js").Answer} Answer */
/** @typedef {import("./timeline_drawing.js").View} View */
/** @typedef {import("./timeline_drawing.js").Place} Place */
/** @typedef {import("./timeline_drawing.js").Mark} Mark */
/** @typedef {import("./timeline_drawing.js").Colours} Colours */

const OVERVIEW = 40;
const FLAGS = 18;
const AXIS = 18;
const TALL = 268;
const GUTTER = 124;
const NARROW = 560;
const LANE_GAP = 7;
const KEPT = "watchpost-timeline";
/** Where less of the time was spent doing anything, steps are shown one beside the other unless somebody chose. */
const IDLE = 0.3;

export class Timeline extends HTMLElement {
  constructor() {
    super();
    /** @type {Steps | null} */
    this.steps = null;
    /** @type {View} */
    this.view = { from: 0, to: 1, bySteps: false };
    this.selected = -1;
    this.hovered = -1;
    /** @type {number | null} where the pointer is, across */
    this.pointer = null;
    /** @type {Mark[]} */
    this.marks = [];
    /** @type {Colours | null} */
    this.colours = null;
    /** @type {HTMLCanvasElement | null} the whole session in small, drawn once */
    this.small = null;
    this.width = 0;
    this.drawing = 0;
    this.busy = false;
    this.source = new StepSource(() => this.getAttribute("src"));
    /** When everything is read again. */
    this.due = 0;
    /** Whether there is news that came while steps were being fetched. */
    this.stale = false;
    /** @type {Place} */
    this.place = { left: 0, width: 1, tops: [], tall: 0 };
    /** @type {{text: string, y: number, lane: import("./timeline_steps.js").Lane}[]} */
    this.labels = [];
    this.height = this.sumsTop = this.sumsTall = 0;
    this.panel = new StepPanel((this.getAttribute("src") ?? "").replace(/^\/api/, "").replace(/\/timeline.*$/, ""));
    this.byTime = button("Time", "Steps as wide as they lasted", () => this.turn(false));
    this.byStep = button("Steps", "All steps equally wide", () => this.turn(true));
    this.nextFlag = button("Next flag", "To the next flag (f)", () => this.toFlag(true));
    this.kinds = made("ul", "legend");
    this.told = made("span", "told");
    this.tools = made("div", "tools");
    this.overview = made("canvas", "overview");
    this.canvas = made("canvas", "main");
    this.tip = made("div", "tip");
    this.stage = made("div", "stage", this.overview, this.canvas, this.tip);
    this.sums = made("p", "sums");
    this.said = made("p", "visually-hidden");
    this.state = made("p", "state", "Fetching the steps…");
    this.whole = made("div", "view", made("div", "", this.stage, this.sums), this.panel.place);
    this.build();
    this.sizes = new ResizeObserver(() => this.resize());
    this.repaint = () => {
      this.colours = this.small = null;
      this.legend();
      this.ask();
    };
    this.renew = () => this.load(true);
    listenTo(this);
  }

  connectedCallback() {
    this.sizes.observe(this.stage);
    window.addEventListener("themechange", this.repaint);
    document.addEventListener("freshened", this.renew);
    if (!this.steps) this.load(false);
  }

  disconnectedCallback() {
    this.sizes.disconnect();
    window.removeEventListener("themechange", this.repaint);
    document.removeEventListener("freshened", this.renew);
    this.panel.stop();
    clearTimeout(this.due);
  }

  build() {
    const link = made("link", "");
    link.rel = "stylesheet";
    link.href = new URL("../css/timeline.css", import.meta.url).href;
    const ways = made("div", "group", this.byTime, this.byStep);
    ways.setAttribute("role", "group");
    ways.setAttribute("aria-label", "Across");
    const zooms = made(
      "div",
      "group",
      button("−", "Zoom out", () => this.zoom(2)),
      button("+", "Zoom in", () => this.zoom(0.5)),
      button("All", "The whole session (0)", () => this.fit()),
    );
    this.tools.append(ways, zooms, made("div", "group", this.nextFlag), this.kinds, this.told);
    for (const canvas of [this.overview, this.canvas]) canvas.setAttribute("aria-hidden", "true");
    this.tip.hidden = true;
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "application");
    this.stage.setAttribute("aria-roledescription", "timeline");
    this.stage.setAttribute("aria-label", "Timeline of steps");
    const keys = made(
      "p",
      "visually-hidden",
      "Left and right go from step to step, up and down to another agent, plus and minus zoom, 0 shows all, f and capital F go to flags, Enter opens the step.",
    );
    keys.id = "keys";
    this.stage.setAttribute("aria-describedby", "keys");
    this.said.setAttribute("role", "status");
    this.tools.hidden = this.whole.hidden = true;
    this.attachShadow({ mode: "open" }).append(link, this.tools, this.state, this.whole, keys, this.said);
  }

  /**
   * Fetch the steps, or what is new of them: zoom and selection stay.
   * @param {boolean} again
   */
  async load(again) {
    if (this.busy) {
      this.stale = true;
      return;
    }
    this.busy = true;
    this.stale = false;
    try {
      const answer = await this.source.read(again && this.steps ? this.steps.answer : null);
      this.take(answer);
      clearTimeout(this.due);
      if (this.source.mayMiss(answer)) this.due = setTimeout(this.renew, this.source.dueMs());
    } catch {
      if (!this.steps) this.fail();
    } finally {
      this.busy = false;
      if (this.stale) this.load(true);
    }
  }

  fail() {
    const again = made("button", "", "Try again");
    again.type = "button";
    again.addEventListener("click", () => this.load(false));
    this.state.replaceChildren("The steps could not be fetched; they stand in the list below.", again);
  }

  /** @param {Answer} answer */
  take(answer) {
    const before = this.steps;
    const chosen = before && this.selected >= 0 ? this.idOf(this.selected) : null;
    const wasWhole = !before || this.isWhole();
    if (before && this.colours && answer.kinds.length !== before.kinds.length) this.colours = null;
    this.steps = new Steps(answer);
    this.small = null;
    this.hovered = -1;
    this.state.hidden = this.steps.many > 0;
    this.tools.hidden = this.whole.hidden = !this.steps.many;
    if (!this.steps.many) {
      this.state.replaceChildren("No steps yet.");
      return;
    }
    if (!before?.many) {
      const kept = localStorage.getItem(KEPT);
      this.view.bySteps = kept ? kept === "steps" : this.steps.busy() < IDLE;
      this.pressed();
    }
    if (wasWhole) this.fit();
    this.legend();
    this.resize();
    if (chosen) this.selected = this.steps.find(chosen.id, chosen.trace);
    else if (!before?.many) this.first();
    this.ask();
  }

  /** What the address asks for, else what is most likely looked for. */
  first() {
    const steps = /** @type {Steps} */ (this.steps);
    const asked = new URLSearchParams(location.search);
    const id = asked.get("step") ?? location.hash.match(/^#step-([0-9a-f]{16})$/)?.[1];
    const at = id ? steps.find(id, asked.get("trace") ?? "") : -1;
    if (at >= 0) this.select(at, false, true);
    else if (steps.suspect() >= 0) this.select(steps.suspect(), false, false);
  }

  /**
   * Select a step by its ids.
   * @param {string} id
   * @param {string} trace
   */
  choose(id, trace) {
    const at = this.steps?.find(id, trace) ?? -1;
    if (at >= 0) this.select(at, true, true);
  }

  /**
   * @param {number} at
   * @param {boolean} byPerson
   * @param {boolean} shown whether the view goes there
   */
  select(at, byPerson, shown) {
    const { steps } = this;
    if (!steps || at < 0 || at >= steps.many) return;
    this.selected = at;
    this.panel.show(steps, at);
    if (shown) this.reveal(at);
    if (byPerson) {
      this.said.textContent = sentence(steps, at);
      this.dispatchEvent(new CustomEvent("stepchosen", { bubbles: true, detail: { ...this.idOf(at), number: at + 1 } }));
    }
    this.ask();
  }

  /** @param {number} at */
  idOf(at) {
    const { answer } = /** @type {Steps} */ (this.steps);
    // needed only where several could share an id
    return { id: answer.step_id[at], trace: answer.traces.length > 1 ? answer.traces[answer.trace[at]] : "" };
  }

  open() {
    if (this.steps && this.selected >= 0) location.assign(this.panel.address(this.steps, this.selected));
  }

  /** @param {boolean} onwards */
  toFlag(onwards) {
    const at = this.steps?.nextFlag(this.selected, onwards) ?? -1;
    // after the last one comes the first again
    this.select(at >= 0 ? at : (this.steps?.nextFlag(-1, onwards) ?? -1), true, true);
  }

  /** @returns {[number, number]} all there is to see */
  extent() {
    const steps = /** @type {Steps} */ (this.steps);
    return this.view.bySteps ? [0, steps.many] : [steps.begin, steps.last];
  }

  isWhole() {
    const [begin, end] = this.extent();
    return this.view.from <= begin && this.view.to >= end;
  }

  /**
   * See this much, as far as there is so much.
   * @param {number} from
   * @param {number} to
   */
  see(from, to) {
    const [begin, end] = this.extent();
    const least = Math.min(this.view.bySteps ? 4 : 200, end - begin);
    const span = Math.min(Math.max(to - from, least), end - begin);
    const middle = (from + to) / 2;
    this.view.from = Math.min(Math.max(to - from < least ? middle - span / 2 : from, begin), end - span);
    this.view.to = this.view.from + span;
    this.ask();
  }

  fit() {
    this.see(...this.extent());
  }

  /**
   * See `factor` as much, with the place at this share of the width staying where it is.
   * @param {number} factor
   * @param {number} [share]
   */
  zoom(factor, share) {
    const { from, to } = this.view;
    const box = share === undefined && this.selected >= 0 ? this.boxOf(this.selected) : null;
    const inside = box && box.x >= this.place.left && box.x <= this.place.left + this.place.width;
    const kept = share ?? (inside ? (box.x + box.width / 2 - this.place.left) / this.place.width : 0.5);
    const held = from + (to - from) * kept;
    this.see(held - (held - from) * factor, held + (to - held) * factor);
  }

  /** @param {number} share of what is seen */
  pan(share) {
    const by = (this.view.to - this.view.from) * share;
    this.see(this.view.from + by, this.view.to + by);
  }

  /**
   * Bring a step into view, and closer where it is too small to be seen.
   * @param {number} at
   */
  reveal(at) {
    const steps = /** @type {Steps} */ (this.steps);
    const { bySteps, from, to } = this.view;
    const begin = bySteps ? at : steps.start[at];
    const end = bySteps ? at + 1 : steps.end[at];
    if (begin >= from && end <= to && (end - begin) / (to - from) > 0.002) return;
    const near = bySteps ? 60 : steps.start[Math.min(at + 20, steps.many - 1)] - steps.start[Math.max(at - 20, 0)];
    const span = Math.min(Math.max(near, (end - begin) * 3), Math.max(to - from, (end - begin) * 1.2));
    const middle = (begin + end) / 2;
    this.see(middle - span / 2, middle + span / 2);
  }

  /** @param {boolean} bySteps */
  turn(bySteps) {
    const { steps, view } = this;
    if (!steps || view.bySteps === bySteps) return;
    const whole = this.isWhole();
    const [first, beyond] = seen(steps, view);
    view.bySteps = bySteps;
    localStorage.setItem(KEPT, bySteps ? "steps" : "time");
    this.small = null;
    this.pressed();
    if (whole) this.fit();
    else if (bySteps) this.see(first, beyond);
    else this.see(steps.start[first], steps.reach[Math.max(beyond - 1, first)]);
  }

  pressed() {
    this.byTime.setAttribute("aria-pressed", String(!this.view.bySteps));
    this.byStep.setAttribute("aria-pressed", String(this.view.bySteps));
  }

  /** Say which kinds there are, and how much was used. */
  legend() {
    const { steps } = this;
    if (!steps) return;
    this.kinds.replaceChildren(...legend(steps));
    this.sums.replaceChildren(...used(steps));
    this.told.textContent = "";
    this.nextFlag.disabled = !steps.flagged.length;
    this.stage.setAttribute("aria-label", `Timeline of ${counted(steps.many)} steps`);
  }

  resize() {
    const width = Math.floor(this.stage.clientWidth);
    if (!width || !this.steps) return;
    if (width !== this.width) this.small = null;
    this.width = width;
    this.lay();
    this.ask();
  }

  /** Work out where everything stands: lanes with their rows, from the top down. */
  lay() {
    const steps = /** @type {Steps} */ (this.steps);
    const narrow = this.width < NARROW;
    const label = narrow ? 15 : 0;
    const around = FLAGS + AXIS + steps.lanes.length * (LANE_GAP + label);
    const tall = Math.max(Math.min(Math.floor((TALL - 64 - around) / steps.rows) - 2, 22), 7);
    /** @type {number[]} */
    const tops = [];
    this.labels = steps.lanes.map((lane) => ({ text: visible(lane.label), y: 0, lane }));
    let y = FLAGS + 2;
    steps.lanes.forEach((lane, n) => {
      this.labels[n].y = narrow ? y + 11 : y + tall / 2;
      y += label;
      for (let row = 0; row < lane.rows; row++, y += tall + 2) tops.push(y);
      y += LANE_GAP;
    });
    const left = narrow ? 0 : GUTTER;
    /** @type {Place} */
    this.place = { left, width: this.width - left - 1, tops, tall };
    this.sumsTop = y + 2;
    this.sumsTall = Math.max(TALL - y - AXIS, 46);
    this.height = this.sumsTop + this.sumsTall + AXIS;
    for (const [canvas, high] of /** @type {[HTMLCanvasElement, number][]} */ ([
      [this.overview, OVERVIEW],
      [this.canvas, this.height],
    ])) {
      canvas.width = Math.round(this.width * devicePixelRatio);
      canvas.height = Math.round(high * devicePixelRatio);
      canvas.style.height = `${high}px`;
    }
  }

  /** Draw with the next frame, once however often it is asked for. */
  ask() {
    if (!this.drawing && this.width && this.steps?.many) this.drawing = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.drawing = 0;
    const { steps, place, view, width } = this;
    const on = this.canvas.getContext("2d");
    if (!steps || !on) return;
    const colours = (this.colours ??= coloursOf(this, steps.kinds));
    on.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    on.clearRect(0, 0, width, this.height);
    const bottom = this.sumsTop + this.sumsTall;
    drawAxis(on, view, place, FLAGS, bottom, colours);
    this.drawLanes(on, colours);
    drawBars(on, steps, view, place, colours, true);
    drawSums(on, steps, view, place, this.sumsTop, this.sumsTall, colours);
    this.marks = drawFlags(on, steps, view, place, FLAGS / 2, colours);
    this.drawChosen(on, colours);
    this.drawOverview(colours);
    this.tell();
    this.point();
  }

  /**
   * @param {CanvasRenderingContext2D} on
   * @param {Colours} colours
   */
  drawLanes(on, colours) {
    const { place, width } = this;
    on.font = "12px system-ui, -apple-system, 'Segoe UI', sans-serif";
    on.textBaseline = place.left ? "middle" : "alphabetic";
    for (const { text, y, lane } of this.labels) {
      on.fillStyle = colours.line;
      on.fillRect(0, place.tops[lane.first] - (place.left ? 5 : 18), width, 1);
      on.fillStyle = colours.ink;
      let label = text;
      while (place.left && label.length > 3 && on.measureText(label).width > GUTTER - 10) label = `${label.slice(0, -2)}…`;
      on.fillText(label, 0, y);
    }
    on.fillStyle = colours.faint;
    on.textBaseline = "middle";
    if (place.left) {
      on.fillText("flags", 0, FLAGS / 2);
      on.fillText("used", 0, this.sumsTop + 10);
    }
  }

  /**
   * The step under the pointer and the one selected.
   * @param {CanvasRenderingContext2D} on
   * @param {Colours} colours
   */
  drawChosen(on, colours) {
    const { place } = this;
    const right = place.left + place.width;
    for (const at of new Set([this.hovered, this.selected])) {
      const box = at >= 0 ? this.boxOf(at) : null;
      if (!box || box.x > right || box.x + box.width < place.left) continue;
      const x = Math.max(box.x, place.left);
      const wide = Math.min(box.x + box.width, right) - x;
      on.strokeStyle = colours.ink;
      on.lineWidth = at === this.selected ? 2 : 1;
      on.strokeRect(x - 1, box.y - 1, Math.max(wide, 2) + 2, box.height + 2);
      if (at !== this.selected) continue;
      const middle = Math.round(x + wide / 2) + 0.5;
      on.lineWidth = 1;
      on.globalAlpha = 0.4;
      on.beginPath();
      on.moveTo(middle, box.y + box.height + 2);
      on.lineTo(middle, this.sumsTop + this.sumsTall);
      on.stroke();
      on.globalAlpha = 1;
    }
  }

  /** @param {Colours} colours */
  drawOverview(colours) {
    const on = this.overview.getContext("2d");
    if (!on || !this.steps) return;
    this.small ??= this.drawSmall(this.steps, colours);
    on.setTransform(1, 0, 0, 1, 0, 0);
    on.clearRect(0, 0, this.overview.width, this.overview.height);
    on.drawImage(this.small, 0, 0);
    on.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    const [left, right] = this.window();
    on.fillStyle = colours.sunk;
    on.globalAlpha = 0.72;
    on.fillRect(0, 0, left, OVERVIEW);
    on.fillRect(right, 0, this.width - right, OVERVIEW);
    on.globalAlpha = 1;
    on.strokeStyle = colours.accent;
    on.lineWidth = 1.5;
    on.strokeRect(left + 0.75, 0.75, Math.max(right - left - 1.5, 1), OVERVIEW - 1.5);
    on.fillStyle = colours.accent;
    for (const x of [left, right - 4]) on.fillRect(x, OVERVIEW / 2 - 7, 4, 14);
  }

  /**
   * @param {Steps} steps
   * @param {Colours} colours
   */
  drawSmall(steps, colours) {
    const small = document.createElement("canvas");
    small.width = this.overview.width;
    small.height = this.overview.height;
    const on = /** @type {CanvasRenderingContext2D} */ (small.getContext("2d"));
    on.scale(devicePixelRatio, devicePixelRatio);
    const each = (OVERVIEW - 16) / steps.rows;
    const place = {
      left: 0,
      width: this.width,
      tall: Math.max(Math.min(each - 0.5, 9), 1),
      tops: Array.from({ length: steps.rows }, (_, row) => 12 + row * each),
    };
    const [from, to] = this.extent();
    const view = { from, to, bySteps: this.view.bySteps };
    drawBars(on, steps, view, place, colours, false);
    drawFlags(on, steps, view, place, 6, colours);
    return small;
  }

  /** @returns {[number, number]} where the overview shows what is seen */
  window() {
    const [begin, end] = this.extent();
    const scale = this.width / (end - begin);
    return [(this.view.from - begin) * scale, (this.view.to - begin) * scale];
  }

  /** Say how much is seen. */
  tell() {
    const steps = /** @type {Steps} */ (this.steps);
    const { from, to, bySteps } = this.view;
    const [first, beyond] = seen(steps, this.view);
    const text = this.isWhole()
      ? `${counted(steps.many)} steps in ${lasting(steps.last - steps.begin)}`
      : bySteps
        ? `steps ${counted(first + 1)} to ${counted(beyond)} of ${counted(steps.many)}`
        : `${lasting(to - from)} from ${after(Math.max(from, 0))}`;
    if (this.told.textContent === text) return;
    this.told.textContent = text;
    for (const [name, words] of usedWithin(steps, this.view)) {
      const place = this.sums.querySelector(`.${name}`);
      if (place) place.textContent = words;
    }
  }

  /** @param {number} at */
  boxOf(at) {
    return boxOf(/** @type {Steps} */ (this.steps), at, this.view, this.place);
  }

  /**
   * The step at a point of the canvas, -1 where there is none. A flag leads to its step, and a bar may be so many pixels beside the point.
   * @param {number} x
   * @param {number} y
   * @param {number} near
   */
  hit(x, y, near) {
    const { steps, view, place } = this;
    if (!steps || x < place.left) return -1;
    if (y < FLAGS) return this.marks.find((mark) => Math.abs(mark.x - x) < near + 5)?.at ?? -1;
    const row = place.tops.findIndex((top) => y >= top - 1 && y <= top + place.tall + 2);
    if (row < 0) return -1;
    const unit = (view.to - view.from) / place.width;
    const there = view.from + (x - place.left) * unit;
    const [first, beyond] = seen(steps, { ...view, from: there - near * unit, to: there + near * unit });
    let best = -1;
    let rank = Infinity;
    for (let at = first; at < beyond; at++) {
      if (steps.row[at] !== row) continue;
      const begin = view.bySteps ? at : steps.start[at];
      const end = view.bySteps ? at + 1 : steps.end[at];
      const away = Math.max(begin - there, there - end, 0) / unit;
      const found = (away > near ? Infinity : away) - (steps.failed[at] || steps.flagsOf.has(at) ? 0.5 : 0);
      if (found < rank) {
        rank = found;
        best = at;
      }
    }
    return best;
  }

  /** Name the step under the pointer, beside it. */
  point() {
    const { steps, hovered, tip, pointer } = this;
    tip.hidden = !steps || hovered < 0;
    if (!steps || hovered < 0) return;
    const box = this.boxOf(hovered);
    const here = this.marks.find((mark) => mark.at === hovered)?.many ?? 1;
    tip.replaceChildren(...brief(steps, hovered, here));
    const x = Math.min(Math.max(pointer ?? box.x, this.place.left) + 12, this.width - tip.offsetWidth - 4);
    tip.style.transform = `translate(${Math.max(x, 0)}px, ${OVERVIEW + 8 + box.y + box.height}px)`;
  }
}

/**
 * @param {string} text
 * @param {string} name what it does
 * @param {() => void} act
 */
function button(text, name, act) {
  const one = made("button", "", text);
  one.type = "button";
  one.title = name;
  if (text.length < 2) one.setAttribute("aria-label", name);
  one.addEventListener("click", act);
  return one;
}

customElements.define("wp-timeline", Timeline);
