// The step that is selected on a timeline: its facts at once, and what it was given and answered as soon as that is fetched.
import { SEVERITIES } from "./timeline_steps.js";
import { after, counted, dollars, lasting, made, visible } from "./timeline_texts.js";

/** @typedef {import("./timeline_steps.js").Steps} Steps */
/**
 * @typedef {object} Detail the parts of an answer about one step that are shown
 * @property {string} name
 * @property {string} model
 * @property {string} tool
 * @property {string} error
 * @property {string} error_type
 * @property {string} input
 * @property {string} output
 * @property {string} input_form
 * @property {string} output_form
 * @property {string | null} missing
 * @property {{kind: string, severity: string, state: string, summary: string}[]} flags
 */

/** Characters of an input or output that are shown. */
const BEGINNING = 1200;
/** Longer JSON is shown as it is. */
const PRETTY = 200_000;
/** Characters of JSON that are read as they stand. */
const ONE_LINE = 96;
const PAUSE_MS = 120;

export class StepPanel {
  /** @param {string} session the address of the session's page */
  constructor(session) {
    this.session = session;
    this.inner = made("div", "inner");
    this.place = made("section", "panel", this.inner);
    this.place.setAttribute("aria-label", "Selected step");
    this.waiting = 0;
    /** @type {AbortController | null} */
    this.asking = null;
    this.clear();
  }

  /** Say how a step is selected. */
  clear() {
    this.stop();
    this.inner.replaceChildren(made("p", "note", "Select a step to see what it was given and what it answered."));
  }

  stop() {
    clearTimeout(this.waiting);
    this.asking?.abort();
  }

  /**
   * @param {Steps} steps
   * @param {number} at
   */
  address(steps, at) {
    const { answer } = steps;
    return `${this.session}/steps/${answer.step_id[at]}?trace_id=${answer.traces[answer.trace[at]]}`;
  }

  /**
   * Show a step, and fetch what else there is about it.
   * @param {Steps} steps
   * @param {number} at
   */
  show(steps, at) {
    this.stop();
    const { answer } = steps;
    const head = made("h3", "", made("span", "num", `${at + 1}`), ` ${visible(answer.names[answer.name[at]]).slice(0, 160)}`);
    const line = made("p", "", made("span", "kind", answer.kinds[answer.kind[at]]), " ");
    const status = answer.statuses[answer.status[at]];
    if (status !== "ok") line.append(made("span", `status ${status}`, status), " ");
    line.append(made("span", "soft", visible(answer.agents[answer.agent[at]]) || "agent not named"));
    const facts = made("dl", "facts");
    const add = (/** @type {string} */ name, /** @type {string} */ value) =>
      facts.append(made("div", "", made("dt", "", name), made("dd", "", value)));
    add("At", after(steps.start[at]));
    add("Took", steps.running[at] ? "running" : answer.duration_us[at] === null ? "not reported" : lasting(answer.duration_us[at] ?? 0));
    const [input, output, cost] = [answer.input_tokens[at], answer.output_tokens[at], answer.cost_usd[at]];
    if (input !== null || output !== null) {
      add("Tokens in → out", `${input === null ? "–" : counted(input)} → ${output === null ? "–" : counted(output)}`);
    }
    if (cost !== null) add("Cost", dollars(Number(cost)));
    const open = made("a", "open", "Open step");
    open.href = this.address(steps, at);
    const listed = made("a", "", "In the list");
    const row = `step-${answer.step_id[at]}`;
    listed.href = `#${row}`;
    // the list has pages, and may show another one
    listed.addEventListener("click", () => {
      if (!document.getElementById(row)) listed.href = `?step=${answer.step_id[at]}&trace=${answer.traces[answer.trace[at]]}#${row}`;
    });
    const more = made("div", "more", made("p", "note", "…"));
    this.inner.replaceChildren(head, line, facts, made("p", "links", open, listed), more);
    this.waiting = setTimeout(() => this.fetch(steps, at, more), PAUSE_MS);
  }

  /**
   * @param {Steps} steps
   * @param {number} at
   * @param {HTMLElement} place
   */
  async fetch(steps, at, place) {
    this.asking = new AbortController();
    try {
      const answer = await fetch(`/api${this.address(steps, at)}&near=${at + 1}`, { signal: this.asking.signal });
      if (!answer.ok) throw new Error(`answered ${answer.status}`);
      place.replaceChildren(...inside(await answer.json()));
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      place.replaceChildren(made("p", "why", "Its contents could not be fetched. Open the step, or select it again."));
    }
  }
}

/**
 * @param {Detail} step
 * @returns {HTMLElement[]}
 */
function inside(step) {
  /** @type {HTMLElement[]} */
  const parts = [];
  for (const flag of step.flags.filter((one) => one.state !== "withdrawn").slice(0, 8)) {
    const severity = SEVERITIES.includes(flag.severity) ? flag.severity : "info";
    parts.push(made("p", "said", made("span", `flag ${severity}`, visible(flag.kind)), ` ${visible(flag.summary)}`));
  }
  const error = [step.error_type, step.error].filter(Boolean).join(": ");
  if (error) parts.push(made("p", "why", visible(error.slice(0, 600))));
  const by = step.model || step.tool;
  if (by && !step.name?.includes(by)) parts.push(made("p", "soft", `${step.model ? "Model" : "Tool"} ${visible(by)}`));
  if (step.missing) return [...parts, made("p", "note", `${step.missing[0].toUpperCase()}${step.missing.slice(1)}.`)];
  for (const [name, text, form] of [
    ["Input", step.input, step.input_form],
    ["Output", step.output, step.output_form],
  ]) {
    parts.push(made("h4", "", name));
    if (!text) {
      parts.push(made("p", "note", form === "redacted" ? "Withheld by the source." : "The source recorded none."));
      continue;
    }
    const whole = indented(text);
    const shown = made("pre", "", visible(whole.slice(0, BEGINNING)));
    shown.tabIndex = 0;
    parts.push(shown);
    if (whole.length > BEGINNING) parts.push(made("p", "note", `The beginning of ${counted(text.length)} characters.`));
  }
  return parts;
}

/** @param {string} text */
function indented(text) {
  if (!/^\s*[{[]/.test(text) || text.length <= ONE_LINE || text.length > PRETTY) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
