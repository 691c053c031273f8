// How values of a timeline read: lengths of time, counts, money, and hostile text.

const SECOND = 1e6;

// made once: each takes longer to make than a frame may take
const WHOLE = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const CENTS = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const FINE = new Intl.NumberFormat("en", { minimumFractionDigits: 4, maximumFractionDigits: 4 });

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
  return `${counted(Math.floor(whole / 3600))} h ${two(Math.floor((whole % 3600) / 60))} m`;
}

const HIDDEN = /\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e0fff}]/gu;

/**
 * Text from traces, with characters that would hide or reorder it replaced by their code points.
 * @param {string} text
 */
export function visible(text) {
  return text.replace(HIDDEN, (found) => `[U+${(found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}]`);
}

/**
 * A moment on the axis, exact enough to be told from the one beside it.
 * @param {number} us
 * @param {number} every
 */
export function tick(us, every) {
  if (us === 0) return "0";
  const digits = every >= SECOND ? 0 : Math.min(Math.ceil(-Math.log10(every / SECOND)), 6);
  const seconds = us / SECOND;
  if (seconds < 1 && seconds > -1) return every < 1000 ? `${+(us / 1000).toFixed(3)} ms` : `${Math.round(us / 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(digits)} s`;
  const whole = Math.floor(+seconds.toFixed(digits));
  const rest = (whole % 60).toString().padStart(2, "0") + (digits ? (seconds - Math.floor(seconds)).toFixed(digits).slice(1) : "");
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${(minutes % 60).toString().padStart(2, "0")}:${rest}`;
}

/**
 * When something happened, counted from the start of its session.
 * @param {number} us
 */
export function after(us) {
  return us < 60 * SECOND ? `+${lasting(us)}` : `+${tick(us, SECOND)}`;
}

/** @param {number} value */
export function counted(value) {
  return WHOLE.format(value);
}

/**
 * A count that is short enough to stand in a line.
 * @param {number} value
 */
export function short(value) {
  return value < 10_000 ? counted(value) : SHORT.format(value);
}

/**
 * US dollars to a length that can be compared at a glance.
 * @param {number} value
 */
export function dollars(value) {
  if (value !== 0 && Math.abs(value) < 0.0001) return "<$0.0001";
  return `$${(value === 0 || Math.abs(value) >= 1 ? CENTS : FINE).format(value)}`;
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
