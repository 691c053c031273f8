// Keeps words such as "3 min ago" true while a page stays open. They are the server's, by its clock: `data-now` is when it made the page.

const EVERY_MS = 15_000;

let ahead = 0;

/** How far the server's clock is ahead of ours. */
function compare() {
  const page = /** @type {HTMLElement | null} */ (document.querySelector("[data-now]"));
  if (page?.dataset.now) ahead = Date.parse(page.dataset.now) - Date.now();
}

function renew() {
  if (document.hidden) return;
  for (const time of /** @type {NodeListOf<HTMLTimeElement>} */ (document.querySelectorAll("time[data-ago]"))) {
    const words = ago(Date.parse(time.dateTime), Date.now() + ahead);
    if (time.textContent !== words) time.textContent = words;
  }
}

/**
 * The words that `pages/nearness.py` has for it.
 * @param {number} then
 * @param {number} now both in milliseconds
 */
function ago(then, now) {
  const seconds = (now - then) / 1000;
  if (seconds < 60) return seconds < 10 ? "just now" : `${Math.round(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 7 * 86400) return `${Math.floor(seconds / 86400)} d ago`;
  return new Date(then).toISOString().slice(0, 10);
}

compare();
document.addEventListener("freshened", compare);
document.addEventListener("visibilitychange", renew);
setInterval(renew, EVERY_MS);
