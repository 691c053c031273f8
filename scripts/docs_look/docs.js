// What the documentation's pages run: the search, a button on each piece of code, and the theme.
import { offerCopies } from "./copy.js";
import { offerSearch } from "./search.js";
import { offerThemes } from "./themes.js";

offerThemes();
offerCopies();
offerSearch();

// where one is stands in sight in the rail
const [rail, here] = [document.querySelector(".rail"), document.querySelector(".rail [aria-current]")];
if (rail && here instanceof HTMLElement) rail.scrollTop = here.offsetTop - rail.clientHeight / 2;
