// What a timeline says beside its drawing: its legend, what was used, and a step in a line or a sentence.
import { KIND_ROLES, placeOf, SUMS } from "./timeline_drawing.js";
import { after, counted, dollars, lasting, made, short, visible } from "./timeline_texts.js";

/** @typedef {import("./timeline_steps.js").Steps} Steps */
/** @typedef {import("./timeline_drawing.js").View} View */

const SVG = "http://www.w3.org/2000/svg";

const USED = /** @type {const} */ ({
  input: ["tokens in", "--series-1"],
  output: ["tokens out", "--series-3"],
  cost: ["cost", "--series-2"],
});

/**
 * Which kinds of steps there are, in their colours.
 * @param {Steps} steps
 */
export function legend(steps) {
  const many = new Uint32Array(steps.kinds.length);
  for (const kind of steps.kind) many[kind]++;
  const rows = steps.kinds.map((kind, at) =>
    made("li", "", area(KIND_ROLES[kind] ?? "--faint", "M0 1h12v8H0z"), `${kind} ${counted(many[at])}`),
  );
  const failed = steps.failed.reduce((sum, one) => sum + one, 0);
  if (failed) rows.push(made("li", "", area("--bad-solid", "M0 0h12v2L4 10H0zM12 5v5H7z"), `failed ${counted(failed)}`));
  const running = steps.running.reduce((sum, one) => sum + one, 0);
  if (running) rows.push(made("li", "", area("--live", "M0 1h12v1.5H1.5v5H12V9H0z"), `running ${counted(running)}`));
  return rows;
}

/**
 * What is used, in the strokes of the lines that add it up.
 * @param {Steps} steps
 */
export function used(steps) {
  return SUMS.map(([name, dash]) => {
    const [words, role] = USED[name];
    const line = drawn("0 0 20 6", "M0 3h20");
    line.shape.style.stroke = `var(${role})`;
    line.shape.setAttribute("stroke-width", "2");
    line.shape.setAttribute("stroke-dasharray", dash.join(" "));
    const { known } = steps.sums[name];
    return made("span", "", line.all, `${words} `, made("span", name, known ? "" : "not reported"));
  });
}

/**
 * How much is used between two places of steps, of how much in all.
 * @param {Steps} steps
 * @param {View} view
 * @returns {[string, string][]} by name
 */
export function usedWithin(steps, view) {
  const [from, to] = [placeOf(steps, view, view.from), placeOf(steps, view, view.to)];
  return SUMS.filter(([name]) => steps.sums[name].known).map(([name]) => {
    const { byEnd, byStep, total } = steps.sums[name];
    const sums = view.bySteps ? byStep : byEnd;
    const say = (/** @type {number} */ value) => (name === "cost" ? dollars(value) : short(value));
    return [name, to - from >= steps.many ? say(total) : `${say(sums[to] - sums[from])} of ${say(total)}`];
  });
}

/**
 * @param {string} role
 * @param {string} path
 */
function area(role, path) {
  const { all, shape } = drawn("0 0 12 10", path);
  shape.style.fill = `var(${role})`;
  return all;
}

/**
 * @param {string} box
 * @param {string} path
 */
function drawn(box, path) {
  const all = document.createElementNS(SVG, "svg");
  const shape = document.createElementNS(SVG, "path");
  all.setAttribute("viewBox", box);
  all.setAttribute("aria-hidden", "true");
  shape.setAttribute("d", path);
  all.append(shape);
  return { all, shape };
}

/**
 * The kinds of the flags at a step.
 * @param {Steps} steps
 * @param {number} at
 */
function flagsAt(steps, at) {
  const { flags } = steps.answer;
  return [...new Set(steps.flagsOf.get(at)?.map((flag) => visible(flags.kinds[flags.kind[flag]])))];
}

/**
 * A step for the ear.
 * @param {Steps} steps
 * @param {number} at
 */
export function sentence(steps, at) {
  const { answer } = steps;
  const flags = flagsAt(steps, at);
  return [
    `Step ${at + 1} of ${steps.many}: ${answer.kinds[answer.kind[at]]} ${visible(answer.names[answer.name[at]])}`,
    visible(answer.agents[answer.agent[at]]),
    answer.statuses[answer.status[at]],
    steps.running[at] ? "" : lasting(steps.end[at] - steps.start[at]),
    flags.length ? `flagged ${flags.join(", ")}` : "",
  ]
    .filter(Boolean)
    .join(", ");
}

/**
 * A step in a few lines.
 * @param {Steps} steps
 * @param {number} at
 * @param {number} here flags that the mark at it stands for
 */
export function brief(steps, at, here) {
  const { answer } = steps;
  const tokens = [answer.input_tokens[at], answer.output_tokens[at]];
  const cost = answer.cost_usd[at];
  const facts = [steps.running[at] ? "running" : lasting(steps.end[at] - steps.start[at]), `at ${after(steps.start[at])}`];
  if (tokens.some((value) => value !== null)) {
    facts.push(`${tokens.map((value) => (value === null ? "–" : counted(value))).join(" → ")} tokens`);
  }
  if (cost !== null) facts.push(dollars(Number(cost)));
  const lines = [
    made("p", "name", `${counted(at + 1)} ${visible(answer.names[answer.name[at]].slice(0, 120))}`),
    made("p", "", `${answer.kinds[answer.kind[at]]}, ${answer.statuses[answer.status[at]]}`),
    made("p", "", facts.join(" · ")),
  ];
  const flags = flagsAt(steps, at);
  if (flags.length) {
    lines.push(made("p", "", `Flagged ${flags.slice(0, 4).join(", ")}${here > 1 ? `; ${here - 1} more flags here` : ""}`));
  }
  return lines;
}
