// Decisions on the page: the marks of each take, the buttons to decide with, and words for those who can't see them.

const figuresByKey = new Map();
const touch = matchMedia("(hover: none)");
const STARS = [1, 2, 3, 4, 5];

function startReview() {
  for (const figure of allTakes()) {
    const key = figure.dataset.take;
    figuresByKey.set(key, [...(figuresByKey.get(key) ?? []), figure]);
  }
  for (const key of figuresByKey.keys()) drawTake(key);
  for (const scene of story.scenes) if (scene.changed.length) drawScene(scene);
  subscribe(showChanges);
  document.addEventListener("language:changed", () => figuresByKey.forEach((figures, key) => { if (story.decisions[key] || figures.includes(cursor)) drawTake(key); }));
  document.addEventListener("click", judgeByButton);
  const offer = (event) => offerButtons(event.target.closest?.("figure.take"));
  document.addEventListener("pointerover", offer);
  document.addEventListener("focusin", offer);
  if (touch.matches) offerAsTheyCome();
  fillReviewTools();
}

// Decisions of a take may change what holds for others of its scene: the file's pick, and whether the scene was seen.
function showChanges(keys) {
  const scenes = new Set(keys.map((key) => sceneById.get(story.takes[key]?.scene)).filter(Boolean));
  const shown = [...new Set([...scenes].flatMap((scene) => scene.takes))];
  shown.forEach(drawTake);
  scenes.forEach(drawScene);
  for (const judge of document.querySelectorAll("dialog[open] .judge")) drawJudge(judge);
  document.dispatchEvent(new CustomEvent("review:changed", { detail: { keys: shown } }));
}

function drawTake(key) {
  for (const figure of figuresByKey.get(key) ?? []) {
    figure.dataset.flag = flagOf(key);
    figure.dataset.stars = starsOf(key);
    figure.toggleAttribute("data-reviewed", isReviewed(key));
    figure.toggleAttribute("data-repainted", isRepainted(key));
    figure.querySelector(".marks").replaceChildren(...marksOf(key));
    const judge = figure.querySelector(".judge");
    if (judge) drawJudge(judge);
    if (figure.hasAttribute("aria-label")) figure.setAttribute("aria-label", spokenTake(key));
  }
}

// What a scene has changed since the last sheet is new until a decision is made in sight of it.
function drawScene(scene) {
  const seen = scene.takes.some((key) => isReviewed(key) && Date.parse(story.decisions[key].at) > (Date.parse(story.changes.at) || 0));
  document.getElementById(`scene-${scene.number}`).classList.toggle("unseen", scene.changed.length > 0 && !seen);
}

// The marks of a take: pick or reject, stars, its note; that it is only a draft, or wants to be looked at again.
function marksOf(key) {
  const flag = flagOf(key);
  const marks = [];
  if (flag === "pick") marks.push(worded(make("strong", { class: "pick" }), "pick"));
  if (flag === "reject") marks.push(worded(make("strong", { class: "reject" }), "rejected"));
  if (story.takes[key].draft) marks.push(worded(make("strong", { class: "draft" }), "draft"));
  if (isRepainted(key)) marks.push(worded(make("strong", { class: "anew" }), "look_again"));
  if (starsOf(key)) marks.push(starMark(starsOf(key)));
  if (noteOf(key)) marks.push(make("q", { class: "said", title: noteOf(key).slice(0, 1000) }, make("bdi", { text: noteOf(key) })));
  return marks;
}

function starMark(stars) {
  return make("span", { class: "stars", role: "img", "aria-label": word(`stars_${stars}`), text: "★".repeat(stars) });
}

function spokenTake(key) {
  const take = story.takes[key];
  const flag = { pick: word("pick"), reject: word("rejected"), none: isReviewed(key) ? word("neither") : word("unreviewed") };
  const parts = [take.label, take.status !== "painted" && word(`take_${take.status}`), take.draft && word("draft"), flag[flagOf(key)]];
  if (starsOf(key)) parts.push(word(`stars_${starsOf(key)}`));
  if (noteOf(key)) parts.push(`${word("note")}: ${noteOf(key).slice(0, 200)}`);
  return parts.filter(Boolean).join(", ");
}

// Speaks inside the dialog that is open, for what lies behind it is silent.
function announce(text) {
  const dialog = [...document.querySelectorAll("dialog[open]")].at(-1);
  if (!dialog) return void say(text);
  const status = dialog.querySelector(":scope > .aside[role=status]") ?? make("p", { class: "aside", role: "status" });
  dialog.append(status);
  status.textContent = text;
}

// The buttons.

function makeJudge(key) {
  const button = (act, sign, name, more = {}) => make("button", {
    type: "button", class: act, "data-do": act, "aria-label": word(name), "data-word-label": name, title: word(name), "data-word-title": name, ...more,
  }, make("span", { "aria-hidden": "true", text: sign }));
  const stars = STARS.map((n) => button("star", "★", `stars_${n}`, { "data-stars": n }));
  const judge = make("div", { class: "judge", role: "group", "aria-label": word("decide"), "data-word-label": "decide" },
    button("pick", "✓", "do_pick"), button("reject", "✕", "do_reject"), button("mark", "⇆", "do_mark"), make("span", { class: "row" }, ...stars));
  aimJudge(judge, key);
  return judge;
}

function aimJudge(judge, key) {
  judge.dataset.key = key;
  drawJudge(judge);
}

function drawJudge(judge) {
  const { key } = judge.dataset;
  const press = (selector, pressed) => judge.querySelector(selector).setAttribute("aria-pressed", String(pressed));
  press(".pick", flagOf(key) === "pick");
  press(".reject", flagOf(key) === "reject");
  press(".mark", marked.has(key));
  judge.querySelectorAll(".star").forEach((star, index) => {
    star.classList.toggle("lit", index < starsOf(key));
    star.setAttribute("aria-pressed", String(index + 1 === starsOf(key)));
  });
}

function offerButtons(figure) {
  if (!figure || figure.querySelector(".judge")) return;
  figure.querySelector("figcaption").before(makeJudge(figure.dataset.take));
}

function offerAsTheyCome() {
  const coming = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) offerButtons(target);
  }, { rootMargin: "50%" });
  for (const figure of allTakes()) coming.observe(figure);
}

// Pressing what is pressed takes it back.
function judgeByButton(event) {
  const button = event.target.closest(".judge [data-do]");
  if (!button) return;
  const { key } = button.closest(".judge").dataset;
  const pressed = button.getAttribute("aria-pressed") === "true";
  const figure = button.closest("figure.take");
  if (figure) moveTo(figure, { focus: false });
  if (button.dataset.do === "mark") toggleMark(key);
  else if (button.dataset.do === "star") starTake(key, pressed ? 0 : Number(button.dataset.stars));
  else flagTake(key, pressed ? "none" : button.dataset.do);
}

function flagTake(key, flag) {
  decide(key, { flag });
  announce(`${word({ pick: "pick", reject: "rejected", none: "neither" }[flag])}: ${story.takes[key].label}`);
}

function starTake(key, stars) {
  decide(key, { stars });
  announce(`${word(`stars_${stars}`)}: ${story.takes[key].label}`);
}

function takeBack() {
  const keys = undo();
  announce(keys.length ? `${word("undone")}: ${keys.map((key) => story.takes[key]?.label).filter(Boolean).slice(0, 3).join(", ")}` : word("nothing_to_undo"));
  return keys;
}
