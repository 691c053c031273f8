// The page of a session: timeline and list of steps go together, and the address says which step is looked at.
import { freshen } from "./live.js";
import { Timeline } from "./timeline.js";

const PAGE = 200;
const PAUSE_MS = 250;

let waiting = 0;

document.addEventListener("stepchosen", (event) => {
  const { id, trace, number } = /** @type {CustomEvent<{id: string, trace: string, number: number}>} */ (event).detail;
  const address = new URL(location.href);
  address.searchParams.set("after", String(Math.floor((number - 1) / PAGE) * PAGE));
  address.searchParams.set("step", id);
  address.searchParams.delete("trace");
  if (trace) address.searchParams.set("trace", trace);
  address.hash = "";
  history.replaceState(history.state, "", address);
  for (const row of document.querySelectorAll("tr.chosen")) row.classList.remove("chosen");
  clearTimeout(waiting);
  const row = document.querySelector(`td a[data-step="${id}"]${trace && `[data-trace="${trace}"]`}`)?.closest("tr");
  if (row) row.classList.add("chosen");
  else waiting = setTimeout(() => freshen().catch(() => {}), PAUSE_MS);
});

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-step]") : null;
  const timeline = document.querySelector("wp-timeline");
  if (!(link instanceof HTMLElement) || !(timeline instanceof Timeline) || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  timeline.choose(link.dataset.step ?? "", link.dataset.trace ?? "");
  document.getElementById("timeline")?.scrollIntoView({ block: "start" });
});
