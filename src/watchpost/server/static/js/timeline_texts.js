// How values of a timeline read: lengths of time, counts, money, and hostile text.

const SECOND = 1e6;

/**
 * A length of time in the unit that suits it.
 * @param {number} us
 */
export function lasting(us) {
  const seconds = us / SECOND;
  if (seconds < 0.001) return `${Math.round(us)} µs`;
  if (seconds < 1) return `${Math.round(us / 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (/** @type {number} */ n) => n.toString().padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600).toLocaleString("en")} h ${two(Math.floor((whole % 3600) / 60))} m`;
}

const HIDDEN = /\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e0fff}]/gu;

/**
 * Text from traces, with characters that would hide or reorder it replaced by their code points.
 * @param {string} text
 */
export function visible(text) {
  return text.replace(HIDDEN, (found) => `[U+${(found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}]`);
}

/** @param {number} value */
export function counted(value) {
  return value.toLocaleString("en");
}

/**
 * A count that is short enough to stand in a line.
 * @param {number} value
 */
export function short(value) {
  return value < 10_000 ? counted(value) : value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 });
}

/**
 * US dollars to a length that can be compared at a glance.
 * @param {number} value
 */
export function dollars(value) {
  if (value === 0) return "$0.00";
  if (Math.abs(value) < 0.0001) return "<$0.0001";
  return `$${value.toLocaleString("en", Math.abs(value) < 1 ? { minimumFractionDigits: 4, maximumFractionDigits: 4 } : { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

/**
 * A new element with a class and texts or elements in it.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string} look
 * @param {...(string | Node)} inside
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function made(name, look, ...inside) {
  const one = document.createElement(name);
  if (look) one.className = look;
  one.append(...inside);
  return one;
}
