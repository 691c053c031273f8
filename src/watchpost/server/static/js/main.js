// What every page runs: freshness and keys. Elements of their own bring their modules along by the page that has them.
import { listenForKeys } from "./keys.js";
import { stayFresh } from "./live.js";
import { offerThemes } from "./themes.js";

offerThemes();
listenForKeys();
stayFresh();
