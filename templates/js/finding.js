// Finding takes: filters, stars, search and sorting. They read the marks that the review sets on the takes.

const finding = { show: "all", stars: 0, search: "", sort: "story", ...held("finding") };
const haystacks = new Map();

const SHOWN = {
  all: () => true,
  unreviewed: (figure) => !("reviewed" in figure.dataset),
  picked: (figure) => figure.dataset.flag === "pick",
  rejected: (figure) => figure.dataset.flag === "reject",
  failed: (figure) => story.takes[figure.dataset.take].status !== "painted",
  changed: (figure) => storyScene(sceneOf(figure)).changed.length > 0,
};

function startFinding() {
  const search = document.getElementById("search");
  search.value = finding.search;
  document.getElementById("stars").value = finding.stars;
  document.getElementById("sort").value = finding.sort;
  search.addEventListener("input", () => find({ search: search.value }));
  document.getElementById("stars").addEventListener("change", (event) => find({ stars: Number(event.target.value) }));
  document.getElementById("sort").addEventListener("change", (event) => sortBy(event.target.value));
  document.querySelector(".chips").addEventListener("click", (event) => {
    const chip = event.target.closest("[data-show]");
    if (chip) find({ show: chip.dataset.show });
  });
  document.getElementById("show-all").addEventListener("click", showEverything);
  document.addEventListener("review:changed", refreshPage);
  document.addEventListener("language:changed", refreshPage);
  if (finding.sort !== "story") arrange();
  refreshPage();
}

function focusSearch() {
  foldTools(false);
  const search = document.getElementById("search");
  search.focus();
  search.select();
}

function find(changes) {
  Object.assign(finding, changes);
  hold("finding", finding);
  refreshPage();
  document.getElementById("scenes").scrollIntoView({ block: "nearest", behavior: "instant" });
}

function showEverything() {
  document.getElementById("search").value = "";
  document.getElementById("stars").value = "0";
  find({ show: "all", stars: 0, search: "" });
}

// Hidden takes carry `hidden`; a scene of which no take is left is hidden too. Then everything is counted anew.
function refreshPage() {
  const wanted = finding.search.toLowerCase().split(/\s+/).filter(Boolean);
  let left = 0;
  for (const article of allScenes()) {
    let any = false;
    for (const figure of article.querySelectorAll("figure.take")) {
      figure.hidden = !(SHOWN[finding.show] ?? SHOWN.all)(figure) || Number(figure.dataset.stars ?? 0) < finding.stars
        || !wanted.every((text) => haystack(figure).includes(text));
      any ||= !figure.hidden;
    }
    article.hidden = !any;
    if (any) left += 1;
    putForward(article);
  }
  document.querySelector(".nothing").hidden = left > 0;
  countTakes();
}

// All that is written about a take, in small letters.
function haystack(figure) {
  const key = figure.dataset.take;
  if (!haystacks.has(key)) {
    const take = story.takes[key];
    const article = sceneOf(figure);
    const notes = [...article.querySelectorAll(".notes dd")].map((element) => element.textContent);
    const prompt = take.prompt.map(([text]) => text).join("");
    const texts = [take.number, take.scene, take.seed, take.label, prompt, storyScene(article).template, ...notes];
    haystacks.set(key, texts.join("\n").toLowerCase());
  }
  const said = story.decisions[key]?.note ?? "";
  return said ? `${haystacks.get(key)}\n${said.toLowerCase()}` : haystacks.get(key);
}

// The take that stands for its scene: the pick, else the one that the sheet was written with, of those to be seen.
// It is drawn large; in a table, where all are of one size, it is the one that is printed.
function putForward(article) {
  const figures = [...article.querySelectorAll("figure.take:not([hidden])")];
  const first = storyScene(article).main;
  const main = figures.find((figure) => figure.dataset.flag === "pick")
    ?? figures.find((figure) => figure.dataset.take === first) ?? figures[0];
  const mark = article.matches(".swept") ? "shown" : "main";
  if (main?.classList.contains(mark)) return;
  article.querySelector(`figure.${mark}`)?.classList.remove(mark);
  main?.classList.add(mark);
}

function countTakes() {
  const takes = allTakes();
  const counts = {};
  for (const name of Object.keys(SHOWN)) counts[name] = takes.filter(SHOWN[name]).length;
  for (const chip of document.querySelectorAll(".chips [data-show]")) {
    const name = chip.dataset.show;
    chip.querySelector("b").textContent = counts[name];
    chip.setAttribute("aria-pressed", String(name === finding.show));
    chip.hidden = (name === "failed" || name === "changed") && counts[name] === 0 && finding.show !== name;
  }
  const reviewed = counts.all - counts.unreviewed;
  const chosen = new Set(takes.filter(SHOWN.picked).map(sceneOf)).size;
  document.getElementById("reviewed").value = reviewed;
  document.getElementById("tally").textContent = [
    `${word("reviewed")} ${reviewed}/${counts.all}`, `${word("scenes_picked")} ${chosen}/${story.scenes.length}`,
  ].join(" · ");
}

// Sorting moves scenes, not takes: a story is looked at scene by scene.

const RANKS = {
  story: () => 0,
  unreviewed: (article) => ([...article.querySelectorAll("figure.take")].some(SHOWN.unreviewed) ? 0 : 1),
  stars: (article) => -Math.max(...[...article.querySelectorAll("figure.take")].map((figure) => Number(figure.dataset.stars ?? 0))),
  newest: (article) => -Math.max(...storyScene(article).takes.map((key) => Date.parse(story.takes[key].paintedAt) || 0)),
};

function sortBy(way) {
  finding.sort = way;
  hold("finding", finding);
  arrange();
  document.getElementById("scenes").scrollIntoView({ block: "nearest", behavior: "instant" });
}

function arrange() {
  const rank = RANKS[finding.sort] ?? RANKS.story;
  const ranked = allScenes().map((article) => [rank(article), Number(article.id.slice("scene-".length)), article]);
  ranked.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  document.getElementById("scenes").prepend(...ranked.map(([, , article]) => article));
}
