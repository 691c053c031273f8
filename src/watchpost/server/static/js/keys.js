// A key for everything that is done often. Keys pressed while something is typed are left alone.

/** @type {Record<string, string>} */
const PLACES = {
  o: "/",
  a: "/alerts",
  f: "/flags",
  s: "/sessions",
  l: "/logs",
  m: "/measures",
  c: "/costs",
  t: "/tools",
  r: "/rules",
  h: "/health",
};

/** Keys and what they do, as the list of keys says it. */
const LIST = [
  ["/", "find a session"],
  ["j  k", "next row, row before"],
  ["Enter", "open the row"],
  ["f  F", "next flag, flag before"],
  ["n  p", "next, one before: step or page"],
  ["J  K", "next session, one before, of the list last looked at"],
  ["u", "up, to what this belongs to"],
  ["g o", "overview"],
  ["g a", "alerts"],
  ["g s", "sessions"],
  ["g f", "flags"],
  ["g m", "measures"],
  ["g c", "costs"],
  ["g t", "tools"],
  ["g r", "rules"],
  ["g l", "logs"],
  ["g h", "health"],
  ["?", "these keys"],
  ["Esc", "close, or leave a field"],
];

/** Heed keys on this page. */
export function listenForKeys() {
  let going = -Infinity;
  const help = /** @type {HTMLButtonElement | null} */ (document.querySelector("[data-keys]"));
  if (help) {
    help.hidden = false;
    help.addEventListener("click", showKeys);
  }
  window.addEventListener("pagehide", keepList);
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (target instanceof HTMLElement && target.matches("input, select, textarea, [contenteditable]")) {
      if (key === "Escape") target.blur();
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    if (performance.now() - going < 1200 && PLACES[key]) {
      going = -Infinity;
      location.assign(PLACES[key]);
    } else if (key === "g") {
      going = performance.now();
    } else if (act(key)) {
      event.preventDefault();
    }
  });
}

/**
 * @param {string} key
 * @returns {boolean} whether the key means something here
 */
function act(key) {
  switch (key) {
    case "/":
      /** @type {HTMLInputElement | null} */ (document.querySelector(".find input"))?.select();
      return true;
    case "?":
      showKeys();
      return true;
    case "j":
    case "k":
      return step([...document.querySelectorAll("main tbody tr a:first-of-type")].filter(firstOfRow), key === "j");
    case "f":
    case "F":
      return step([...document.querySelectorAll("main [data-flag]")], key === "f");
    case "n":
    case "p":
      return follow(`main a[rel="${key === "n" ? "next" : "prev"}"]`);
    case "J":
    case "K":
      return beside(key === "J" ? 1 : -1);
    case "u":
      return follow(".crumbs a:last-of-type");
    default:
      return false;
  }
}

/** @param {Element} link */
function firstOfRow(link) {
  return link === link.closest("tr")?.querySelector("a");
}

/**
 * Bring the next of some elements into view, or the one before, counted from where the focus is.
 * @param {Element[]} among
 * @param {boolean} onwards
 */
function step(among, onwards) {
  const active = document.activeElement;
  const at = among.findIndex((one) => one === active || one.contains(active));
  const next = among[onwards ? at + 1 : at < 0 ? among.length - 1 : at - 1];
  if (!(next instanceof HTMLElement)) return among.length > 0;
  if (!next.matches("a, button, [tabindex]")) next.tabIndex = -1;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "center" });
  return true;
}

/** @param {string} selector */
function follow(selector) {
  const link = document.querySelector(selector);
  if (link instanceof HTMLAnchorElement) link.click();
  return link !== null;
}

const LISTED = "watchpost-listed";

/** Keep which sessions a list showed, and in which order, when it is left: this tab walks them by keys then. */
function keepList() {
  const links = document.querySelectorAll("main tr[id^='session-'] a[href^='/sessions/']");
  const listed = new Set([...links].map((link) => /** @type {HTMLAnchorElement} */ (link).pathname));
  if (listed.size) sessionStorage.setItem(LISTED, JSON.stringify([...listed]));
}

/**
 * Go to the session beside this one in the list last looked at.
 * @param {1 | -1} by
 */
function beside(by) {
  /** @type {string[]} */
  const listed = JSON.parse(sessionStorage.getItem(LISTED) ?? "[]");
  const at = listed.findIndex((path) => location.pathname === path || location.pathname.startsWith(`${path}/`));
  const next = at < 0 ? undefined : listed[at + by];
  if (next) location.assign(next);
  return at >= 0;
}

function showKeys() {
  const dialog = document.createElement("dialog");
  const heading = document.createElement("h2");
  heading.textContent = "Keys";
  const list = document.createElement("dl");
  list.className = "keys";
  for (const [keys, means] of LIST) {
    const row = document.createElement("div");
    const term = document.createElement("dt");
    for (const key of keys.split(/\s+/)) {
      const cap = document.createElement("kbd");
      cap.textContent = key;
      term.append(cap, " ");
    }
    const said = document.createElement("dd");
    said.textContent = means;
    row.append(term, said);
    list.append(row);
  }
  const close = document.createElement("form");
  close.method = "dialog";
  const button = document.createElement("button");
  button.className = "plain";
  button.textContent = "Close";
  close.append(button);
  dialog.append(heading, list, close);
  dialog.setAttribute("aria-label", "Keys");
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
