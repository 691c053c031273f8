// Where a timeline has its steps from: all of them once, then what is new of them, and all again from time to time.
import { goesOn, joined } from "./timeline_steps.js";

/** @typedef {import("./timeline_steps.js").Answer} Answer */

/** So many of the last steps are asked for again with every change. */
const AGAIN = 200;
/** How late a change to a step before those may be seen, in milliseconds. */
const EVERY_MS = 30_000;
/** At most this part of the time is spent on reading everything again. */
const SHARE = 0.05;

export class StepSource {
  /** @param {() => string | null} address where the API has the steps */
  constructor(address) {
    this.address = address;
    this.everyMs = EVERY_MS;
    /** When everything was read last, how long that took, and which change was the latest in it. */
    this.wholeAt = -Infinity;
    this.took = 0;
    this.wholeOf = -1;
  }

  /**
   * The steps as they are now; of those that are held, only what is likely to have changed, unless everything is due again.
   * @param {Answer | null} held
   * @returns {Promise<Answer>}
   */
  async read(held) {
    return (held && this.dueMs() > 0 && (await this.later(held))) || this.whole();
  }

  /** In how many milliseconds everything is to be read again. */
  dueMs() {
    return this.wholeAt + Math.max(this.everyMs, this.took / SHARE) - performance.now();
  }

  /**
   * Whether a step may have changed that was not read again.
   * @param {Answer} answer
   */
  mayMiss(answer) {
    return answer.revision !== this.wholeOf;
  }

  /** @returns {Promise<Answer>} */
  async whole() {
    const began = performance.now();
    let answer = await this.page(0);
    while (answer.next !== null) answer = joined(answer, await this.page(answer.next));
    return this.noted(answer, began);
  }

  /**
   * With those steps read again that may have changed: from the first that ran, or the last few.
   * @param {Answer} held
   */
  async later(held) {
    const began = performance.now();
    const running = held.duration_us.indexOf(null);
    const many = held.step_id.length;
    const from = Math.max(Math.min(running < 0 ? many : running, many - AGAIN), 0);
    const later = await this.page(from);
    if (!goesOn(held, later)) return null;
    return from ? joined(held, later) : this.noted(later, began);
  }

  /**
   * Note that everything was read.
   * @param {Answer} answer
   * @param {number} began
   */
  noted(answer, began) {
    this.wholeAt = performance.now();
    this.took = this.wholeAt - began;
    this.wholeOf = answer.revision;
    return answer;
  }

  /**
   * @param {number} after
   * @returns {Promise<Answer>}
   */
  async page(after) {
    const answer = await fetch(`${this.address()}?after=${after}`);
    if (!answer.ok) throw new Error(`answered ${answer.status}`);
    return answer.json();
  }
}
