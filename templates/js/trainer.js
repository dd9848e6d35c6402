"use strict";
// The trainer's pages: their language and theme, which pictures are shown, and, while a training runs, its news.

(() => {
  const told = JSON.parse(document.getElementById("told").textContent);
  const RELOAD_SECONDS = 5;
  const PLACE = "storyboard:training:place";
  let language = told.language;

  // A browser may keep nothing for a page from disk.
  const kept = (name, store = localStorage) => { try { return store.getItem(name); } catch { return null; } };
  const keep = (name, value, store = localStorage) => { try { store.setItem(name, value); } catch { /* as it comes */ } };
  const word = (name) => told.words[language][name] ?? name;

  function speak(chosen) {
    language = chosen;
    document.documentElement.lang = word("lang");
    for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
    for (const element of document.querySelectorAll("[data-word-label]")) element.setAttribute("aria-label", word(element.dataset.wordLabel));
    for (const element of document.querySelectorAll("[data-word-placeholder]")) element.placeholder = word(element.dataset.wordPlaceholder);
    document.getElementById("language").lang = word("other_lang");
  }

  function startLanguage() {
    const remembered = kept("storyboard:page:language");
    if (remembered in told.words && remembered !== language) speak(remembered);
    document.getElementById("language").addEventListener("click", () => {
      speak(language === "zh" ? "en" : "zh");
      keep("storyboard:page:language", language);
    });
  }

  function startTheme() {
    const choice = document.getElementById("theme");
    choice.value = document.documentElement.dataset.theme ?? "auto";
    choice.addEventListener("change", () => {
      keep("storyboard:page:theme", choice.value);
      if (choice.value === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = choice.value;
    });
  }

  // The file's own time: when the trainer last wrote it.
  function startClock() {
    const shown = document.getElementById("updated");
    if (!shown) return;
    const at = new Date(document.lastModified);
    shown.dateTime = at.toISOString();
    shown.textContent = at.toLocaleString("sv");
  }

  function startNews() {
    if (!("running" in document.body.dataset)) return;
    const place = kept(PLACE, sessionStorage);
    if (place) scrollTo({ top: Number(place), behavior: "instant" });
    const reload = () => {
      if (document.hidden || !getSelection().isCollapsed) return void setTimeout(reload, 1000);
      keep(PLACE, String(scrollY), sessionStorage);
      location.reload();
    };
    setTimeout(reload, RELOAD_SECONDS * 1000);
  }

  // Which pictures are shown: those of a kind, whose name, caption or reason has what is searched for.
  function startFinding() {
    const search = document.getElementById("search");
    if (!search) return;
    const tiles = [...document.querySelectorAll(".tile")].map((tile) => ({ tile, text: tile.textContent.toLowerCase() }));
    const chips = [...document.querySelectorAll("[data-show]")];
    let shown = "all";
    const draw = () => {
      const wanted = search.value.trim().toLowerCase();
      let count = 0;
      for (const { tile, text } of tiles) {
        const fits = (shown === "all" || tile.dataset.is.split(" ").includes(shown)) && text.includes(wanted);
        tile.hidden = !fits;
        count += fits;
      }
      document.getElementById("nothing").hidden = count > 0;
      document.getElementById("found").textContent = String(count);
      for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.show === shown));
    };
    for (const chip of chips) chip.addEventListener("click", () => { shown = chip.dataset.show; draw(); });
    search.addEventListener("input", draw);
    draw();
  }

  startLanguage();
  startTheme();
  startClock();
  startNews();
  startFinding();
})();
