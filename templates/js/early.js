"use strict";
// Before the first paint: the theme, the view and the size of pictures that the reader left the page with.

(() => {
  const root = document.documentElement;
  root.dataset.script = "";
  const kept = (name) => localStorage.getItem(`storyboard:page:${name}`);
  try {
    const theme = kept("theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    if (kept("view") === "contact") root.dataset.view = "contact";
    const zoom = Number(kept("zoom"));
    if (zoom >= 50 && zoom <= 200) root.style.setProperty("--zoom", zoom / 100);
  } catch {
    // A browser without storage shows the page as it comes.
  }
})();
