// Light or dark as this browser was last told, before anything is drawn. Not a module: modules run too late for that.
(() => {
  const told = localStorage.getItem("watchpost-theme");
  if (told === "light" || told === "dark") document.documentElement.dataset.theme = told;
})();
