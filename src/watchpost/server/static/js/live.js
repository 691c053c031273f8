// Keeps the page as it would be if it were loaded now: asked for again when what it shows changed, and morphed into place.
//
// `<main data-about="sessions alerts">` says what the page shows, in the subjects of /live; `data-every="30"` that it must also be asked for
// after so many seconds. Focus, scroll, open folds and what is being typed stay.

/** @typedef {typeof import("idiomorph").Idiomorph} Morphing */

const BETWEEN_MS = 2000;

const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy("watchpost-pages", {
  createHTML: (/** @type {string} */ text) => text,
});

/** Start listening, for as long as the page is looked at. */
export function stayFresh() {
  const main = document.querySelector("main");
  if (!main) return;
  const subjects = new Set(["alerts", ...(main.dataset.about ?? "").split(" ").filter(Boolean)]);
  const ofPage = new Set((main.dataset.about ?? "").split(" ").filter(Boolean));
  const address = `/live?${[...subjects].map((subject) => `about=${encodeURIComponent(subject)}`).join("&")}`;
  const refresh = paced(freshen);
  const count = paced(countFiring);

  /** @type {EventSource | null} */
  let source = null;
  let missed = false;

  const listen = () => {
    if (source) return;
    source = new EventSource(address);
    source.addEventListener("open", () => {
      if (missed && ofPage.size) refresh();
      missed = false;
      say("live");
      count();
    });
    source.addEventListener("error", () => {
      missed = true;
      say("away");
    });
    source.addEventListener("changed", (event) => {
      const changed = event.data.split(" ");
      if (changed.includes("alerts")) count();
      if (changed.some((/** @type {string} */ subject) => ofPage.has(subject))) refresh();
    });
  };
  // a hidden page holds no connection: browsers open only six to one server
  const look = () => {
    if (document.hidden) {
      source?.close();
      source = null;
      missed = true;
    } else {
      listen();
    }
  };
  document.addEventListener("visibilitychange", look);
  document.addEventListener("input", (event) => {
    const form = event.target instanceof HTMLElement ? event.target.closest("form") : null;
    if (form) form.dataset.begun = "";
  });
  look();
  // read anew each time: a page that waits for figures asks often, and seldom once it has them
  const again = () => {
    const every = Number(document.querySelector("main")?.dataset.every);
    if (!every) return;
    setTimeout(() => {
      if (!document.hidden) refresh();
      again();
    }, every * 1000);
  };
  again();
}

let asked = 0;

/** Ask for this page again and put it in the place of what is shown, unless it is asked for once more before the answer is there. */
export async function freshen() {
  const main = document.querySelector("main");
  const morphing = /** @type {Morphing | undefined} */ (/** @type {any} */ (globalThis).Idiomorph);
  if (!main || !morphing) return;
  const question = ++asked;
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "error" });
  if (!answer.ok) throw new Error(`answered ${answer.status}`);
  const text = await answer.text();
  const next = new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, "text/html").querySelector("main");
  if (!next || question !== asked) return;
  morphing.morph(main, next, {
    morphStyle: "outerHTML",
    ignoreActiveValue: true,
    callbacks: {
      beforeNodeMorphed: (before) => !(before instanceof HTMLFormElement && "begun" in before.dataset),
      beforeAttributeUpdated: (name) => name !== "open",
      beforeNodeRemoved: (node) => !(node instanceof HTMLFormElement && "begun" in node.dataset),
      afterNodeAdded: (node) => {
        if (node instanceof HTMLTableRowElement) node.classList.add("arrived");
      },
    },
  });
  document.dispatchEvent(new Event("freshened"));
}

/** Say on the rail how many alerts fire. */
async function countFiring() {
  const badge = /** @type {HTMLElement | null} */ (document.querySelector("[data-firing]"));
  if (!badge) return;
  const answer = await fetch("/live/firing");
  if (!answer.ok) return;
  const many = (await answer.text()).trim();
  badge.hidden = many === "0";
  badge.textContent = many;
  badge.title = `${many} firing`;
}

/** @param {"live" | "away"} how */
function say(how) {
  const pulse = /** @type {HTMLElement | null} */ (document.querySelector(".pulse"));
  if (!pulse) return;
  pulse.dataset.is = how;
  pulse.textContent = how === "live" ? "live" : "no connection; trying again";
}

/**
 * The same, but never twice at once nor sooner than two seconds after the last time; what was asked for meanwhile is done then, once.
 * @param {() => Promise<void>} work
 * @returns {() => void}
 */
function paced(work) {
  let busy = false;
  let again = false;
  const run = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      await work();
    } catch {
      say("away");
    }
    setTimeout(() => {
      busy = false;
      if (again) {
        again = false;
        run();
      }
    }, BETWEEN_MS);
  };
  return run;
}
