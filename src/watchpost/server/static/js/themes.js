// Light, dark, or as the system says: one button goes round.

const ROUND = /** @type {const} */ (["system", "light", "dark"]);

/** Let the button of the bar change the theme, and tell drawings of it by `themechange` on the window. */
export function offerThemes() {
  const button = /** @type {HTMLButtonElement | null} */ (document.querySelector("[data-theme-next]"));
  if (!button) return;
  const root = document.documentElement;
  const name = () => {
    const words = `Theme: ${root.dataset.theme ?? "as the system says"}`;
    button.title = words;
    button.setAttribute("aria-label", words);
  };
  button.hidden = false;
  name();
  button.addEventListener("click", () => {
    const at = ROUND.findIndex((theme) => theme === (root.dataset.theme ?? "system"));
    const next = ROUND[(at + 1) % ROUND.length];
    if (next === "system") {
      delete root.dataset.theme;
      localStorage.removeItem("watchpost-theme");
    } else {
      root.dataset.theme = next;
      localStorage.setItem("watchpost-theme", next);
    }
    name();
    window.dispatchEvent(new Event("themechange"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    window.dispatchEvent(new Event("themechange")),
  );
}

/**
 * What a colour role is at this moment, as a canvas takes it.
 * @param {Element} beside an element that stands on the page
 * @param {string} role such as "--series-1"
 * @returns {string}
 */
export function colour(beside, role) {
  const probe = document.createElement("i");
  probe.style.color = `var(${role})`;
  (beside.shadowRoot ?? beside).append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
