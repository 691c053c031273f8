// Search over headings and words, in an index that stands beside the pages: nothing is asked of a server but that file, once.

/** @typedef {{u: string, p: string, h: string, t: string}} Section where it stands, its page, its heading, its words */

const MOST = 12;
const AROUND = 60;

/** Let the field of the bar search, `/` go to it, and arrows go through what it found. */
export function offerSearch() {
  const form = /** @type {HTMLFormElement | null} */ (document.querySelector(".find"));
  const field = form?.querySelector("input");
  const found = /** @type {HTMLElement | null} */ (form?.querySelector(".found") ?? null);
  if (!form || !field || !found) return;
  form.hidden = false;
  const index = new URL(form.dataset.index ?? "", location.href);
  /** @type {Promise<Section[]> | null} */
  let sections = null;
  const read = () => (sections ??= fetch(index).then((answer) => answer.json()));

  const show = async () => {
    const words = split(field.value);
    if (!words.length) return close();
    const hits = best(await read(), words);
    if (words.join() !== split(field.value).join()) return;
    found.replaceChildren(...(hits.length ? hits.map((hit, at) => row(hit, words, index, at)) : [nothing(field.value)]));
    found.hidden = false;
    field.setAttribute("aria-expanded", "true");
    choose(0);
  };
  const close = () => {
    found.hidden = true;
    field.setAttribute("aria-expanded", "false");
  };
  const rows = () => [...found.querySelectorAll("a")];
  const chosen = () => rows().findIndex((one) => one.ariaSelected === "true");
  /** @param {number} at */
  const choose = (at) => {
    const all = rows();
    for (const [number, one] of all.entries()) one.ariaSelected = String(number === at);
    all[at]?.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", all[at]?.id ?? "");
  };

  field.addEventListener("focus", read, { once: true });
  field.addEventListener("input", show);
  field.addEventListener("keydown", (event) => {
    const many = rows().length;
    if (event.key === "Escape") close();
    else if (event.key === "ArrowDown" && many) choose((chosen() + 1) % many);
    else if (event.key === "ArrowUp" && many) choose((chosen() - 1 + many) % many);
    else return;
    event.preventDefault();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    rows()[chosen()]?.click();
    close();
  });
  found.addEventListener("click", close);
  document.addEventListener("click", (event) => {
    if (event.target instanceof Node && !form.contains(event.target)) close();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target === field) return;
    event.preventDefault();
    field.select();
  });
}

/** @param {string} text */
function split(text) {
  return text.toLowerCase().split(/[\s,;]+/).filter(Boolean);
}

/**
 * The sections in which every word stands, those first that have them in their heading or as whole words.
 * @param {Section[]} sections
 * @param {string[]} words
 */
function best(sections, words) {
  return sections
    .map((section) => ({ section, score: words.reduce((sum, word) => sum + worth(section, word), 0) }))
    .filter(({ section, score }) => score > 0 && words.every((word) => worth(section, word) > 0))
    .sort((one, other) => other.score - one.score)
    .slice(0, MOST)
    .map(({ section }) => section);
}

/** @param {string} word */
function literal(word) {
  return word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/**
 * @param {Section} section
 * @param {string} word
 */
function worth(section, word) {
  const [page, heading, text] = [section.p, section.h, section.t].map((part) => part.toLowerCase());
  const whole = new RegExp(`(?:^|[^\\p{L}\\p{N}])${literal(word)}`, "u");
  let sum = text.includes(word) ? 1 : 0;
  if (whole.test(text)) sum += 2;
  if (heading.includes(word)) sum += whole.test(heading) ? 12 : 5;
  if (page.includes(word)) sum += heading ? 3 : 14;
  return sum;
}

/**
 * @param {Section} section
 * @param {string[]} words
 * @param {URL} index
 * @param {number} at
 */
function row(section, words, index, at) {
  const link = document.createElement("a");
  link.href = new URL(section.u, index).href;
  link.id = `found-${at}`;
  link.setAttribute("role", "option");
  const name = document.createElement("b");
  name.textContent = section.h || section.p;
  const beneath = document.createElement("span");
  beneath.append(...(section.h ? [`${section.p} · `] : []), ...marked(excerpt(section.t, words), words));
  link.append(name, beneath);
  return link;
}

/**
 * @param {string} text
 * @param {string[]} words
 */
function excerpt(text, words) {
  const at = Math.max(...words.map((word) => text.toLowerCase().indexOf(word)));
  const from = at > AROUND ? text.indexOf(" ", at - AROUND) + 1 : 0;
  return `${from ? "…" : ""}${text.slice(from, from + 4 * AROUND)}`;
}

/**
 * @param {string} text
 * @param {string[]} words
 * @returns {(string | HTMLElement)[]}
 */
function marked(text, words) {
  const any = new RegExp(`(${words.map(literal).join("|")})`, "giu");
  return text.split(any).map((part, at) => {
    if (at % 2 === 0) return part;
    const mark = document.createElement("mark");
    mark.textContent = part;
    return mark;
  });
}

/** @param {string} asked */
function nothing(asked) {
  const said = document.createElement("p");
  said.textContent = `Nothing has the words “${asked}”.`;
  return said;
}
