// What hands do to a timeline: wheel, drag, pinch, click and keys.

/** @typedef {import("./timeline.js").Timeline} Timeline */

/** A pointer that moved less was a click. */
const STILL = 4;
const EDGE = 7;
/** So many pixels beside a bar still mean it. */
const NEAR = 3;
const FINGER = 12;
/** So long after the last turn of a wheel a new one begins. */
const PAUSE_MS = 300;

/** @param {Timeline} timeline */
export function listenTo(timeline) {
  wheel(timeline);
  drag(timeline);
  brush(timeline);
  timeline.stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !press(timeline, event)) return;
    event.preventDefault();
    event.stopPropagation();
    timeline.hovered = timeline.selected;
    timeline.pointer = null;
  });
  timeline.stage.addEventListener("blur", () => {
    timeline.hovered = -1;
    timeline.ask();
  });
}

/**
 * A wheel zooms where the pointer is, or pans sideways. One that began to turn elsewhere goes on to scroll the page.
 * @param {Timeline} timeline
 */
function wheel(timeline) {
  let elsewhere = -Infinity;
  const outside = (/** @type {WheelEvent} */ event) => {
    if (!event.composedPath().includes(timeline.stage)) elsewhere = event.timeStamp;
  };
  window.addEventListener("wheel", outside, { passive: true, capture: true });
  timeline.stage.addEventListener(
    "wheel",
    (event) => {
      if (event.timeStamp - elsewhere < PAUSE_MS && !event.ctrlKey) {
        elsewhere = event.timeStamp;
        return;
      }
      const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (!sideways && event.deltaY > 0 && timeline.isWhole() && !event.ctrlKey) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      if (sideways) timeline.pan(((event.deltaX || event.deltaY) * lines) / timeline.place.width);
      else timeline.zoom(1.0022 ** (Math.max(Math.min(event.deltaY * lines, 300), -300) * (event.ctrlKey ? 4 : 1)), share(timeline, event));
    },
    { passive: false },
  );
}

/**
 * Where across the bars a pointer is, as a share of their width.
 * @param {Timeline} timeline
 * @param {MouseEvent} event
 */
function share(timeline, event) {
  const { left, width } = timeline.place;
  const x = event.clientX - timeline.canvas.getBoundingClientRect().left;
  return Math.min(Math.max((x - left) / width, 0), 1);
}

/**
 * On the bars: a drag pans, two pointers pinch, a click selects.
 * @param {Timeline} timeline
 */
function drag(timeline) {
  const { canvas } = timeline;
  /** @type {Map<number, number>} where each pointer is, across */
  const held = new Map();
  let moved = 0;
  const spread = () => {
    const [one, other] = [...held.values()];
    return { apart: Math.max(Math.abs(one - other), 10), middle: (one + other) / 2 };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    held.set(event.pointerId, event.clientX);
    moved = held.size > 1 ? STILL : 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (before === undefined) {
      hover(timeline, event);
      return;
    }
    const { left, width } = timeline.place;
    if (held.size > 1) {
      const was = spread();
      held.set(event.pointerId, event.clientX);
      const now = spread();
      timeline.zoom(was.apart / now.apart, (now.middle - canvas.getBoundingClientRect().left - left) / width);
      timeline.pan((was.middle - now.middle) / width);
      return;
    }
    moved += Math.abs(event.clientX - before);
    if (moved < STILL) return;
    canvas.setPointerCapture(event.pointerId);
    canvas.classList.add("held");
    timeline.hovered = -1;
    held.set(event.pointerId, event.clientX);
    timeline.pan((before - event.clientX) / width);
  });
  const release = (/** @type {PointerEvent} */ event) => {
    held.delete(event.pointerId);
    canvas.classList.remove("held");
  };
  canvas.addEventListener("pointerup", (event) => {
    const pressed = held.has(event.pointerId);
    release(event);
    if (!pressed || moved >= STILL) return;
    const at = timeline.hit(event.offsetX, event.offsetY, event.pointerType === "touch" ? FINGER : NEAR);
    if (at >= 0) timeline.select(at, true, false);
  });
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => {
    timeline.hovered = -1;
    timeline.ask();
  });
}

/**
 * @param {Timeline} timeline
 * @param {PointerEvent} event
 */
function hover(timeline, event) {
  if (event.pointerType === "touch") return;
  const at = timeline.hit(event.offsetX, event.offsetY, NEAR);
  timeline.canvas.classList.toggle("over", at >= 0);
  timeline.pointer = event.offsetX;
  if (at < 0 && timeline.hovered < 0) return;
  timeline.hovered = at;
  timeline.ask();
}

/**
 * On the overview: its window is moved or drawn out by its edges, and a drag beside it makes a new one.
 * @param {Timeline} timeline
 */
function brush(timeline) {
  const { overview } = timeline;
  /** @type {{way: "move" | "draw", from: number, moved: boolean} | null} */
  let held = null;
  const at = (/** @type {PointerEvent} */ event) => {
    const [begin, end] = timeline.extent();
    const x = Math.min(Math.max(event.clientX - overview.getBoundingClientRect().left, 0), timeline.width);
    return begin + (x / timeline.width) * (end - begin);
  };
  overview.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    overview.setPointerCapture(event.pointerId);
    const [left, right] = timeline.window();
    const { from, to } = timeline.view;
    const x = event.offsetX;
    if (Math.abs(x - left) < EDGE) held = { way: "draw", from: to, moved: false };
    else if (Math.abs(x - right) < EDGE) held = { way: "draw", from, moved: false };
    else if (x > left && x < right && !timeline.isWhole()) held = { way: "move", from: at(event), moved: false };
    else held = { way: "draw", from: at(event), moved: false };
  });
  overview.addEventListener("pointermove", (event) => {
    if (!held || (!held.moved && Math.abs(event.movementX) < 1)) return;
    held.moved = true;
    const there = at(event);
    if (held.way === "draw") timeline.see(Math.min(held.from, there), Math.max(held.from, there));
    else {
      timeline.see(timeline.view.from + there - held.from, timeline.view.to + there - held.from);
      held.from = there;
    }
  });
  overview.addEventListener("pointerup", (event) => {
    if (held && !held.moved && !timeline.isWhole()) {
      const half = (timeline.view.to - timeline.view.from) / 2;
      timeline.see(at(event) - half, at(event) + half);
    }
    held = null;
  });
  overview.addEventListener("pointercancel", () => {
    held = null;
  });
  overview.addEventListener("dblclick", () => timeline.fit());
}

/**
 * @param {Timeline} timeline
 * @param {KeyboardEvent} event
 * @returns {boolean} whether the key means something here
 */
function press(timeline, event) {
  const { steps, selected } = timeline;
  if (!steps) return false;
  const go = (/** @type {number} */ at) => timeline.select(Math.min(Math.max(at, 0), steps.many - 1), true, true);
  switch (event.key) {
    case "ArrowRight":
    case "ArrowLeft": {
      const onwards = event.key === "ArrowRight" ? 1 : -1;
      if (event.shiftKey) timeline.pan(onwards * 0.25);
      else go(selected + onwards);
      return true;
    }
    case "ArrowUp":
    case "ArrowDown":
      go(beside(timeline, event.key === "ArrowDown" ? 1 : -1));
      return true;
    case "Home":
      go(0);
      return true;
    case "End":
      go(steps.many - 1);
      return true;
    case "+":
    case "=":
      timeline.zoom(0.5);
      return true;
    case "-":
      timeline.zoom(2);
      return true;
    case "0":
      timeline.fit();
      return true;
    case "Enter":
      timeline.open();
      return true;
    case "f":
    case "F":
      timeline.toFlag(event.key === "f");
      return true;
    default:
      return false;
  }
}

/**
 * The step that is nearest in the lane above or below that of the selected one.
 * @param {Timeline} timeline
 * @param {number} onwards
 */
function beside(timeline, onwards) {
  const { steps, selected } = timeline;
  if (!steps || selected < 0) return 0;
  const lane = steps.lane[selected] + onwards;
  for (let away = 1; away < steps.many; away++) {
    for (const at of [selected - away, selected + away]) if (at >= 0 && at < steps.many && steps.lane[at] === lane) return at;
  }
  return selected;
}
