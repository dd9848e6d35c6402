// Before and after: what the last sheet showed of a scene and what this one shows, under one slider.

function startBefore() {
  for (const scene of story.scenes) {
    const place = hasBefore(scene) && document.querySelector(`#scene-${scene.number} .changed`);
    if (!place) continue;
    const button = worded(make("button", { type: "button", class: "button before-button" }), "before_after");
    button.addEventListener("click", () => openBefore(scene.takes[0]));
    place.append(" ", button);
  }
}

function hasBefore(scene) {
  return Boolean(scene.before?.picture) && scene.takes.some((key) => story.takes[key].picture);
}

// The take that stands for the scene now is compared with the one that stood for it then.
function openBefore(key) {
  const scene = sceneById.get(story.takes[key].scene);
  if (!hasBefore(scene)) return void announce(word("no_before"));
  const article = document.getElementById(`scene-${scene.number}`);
  const shown = story.takes[article.querySelector("figure:is(.main, .shown)")?.dataset.take ?? scene.main];
  const now = shown.picture ? shown : story.takes[scene.takes.find((take) => story.takes[take].picture)];
  const dialog = makeDialog("before", "before_after");
  dialog.querySelector("h2").after(make("bdi", { class: "about", text: `${scene.number} ${scene.id}` }));
  dialog.append(makeSlider(scene.before, now), ...beforeWords(scene, article));
  openDialog(dialog);
  dialog.querySelector("input").focus();
}

function makeSlider(before, now) {
  const slider = make("input", { type: "range", min: "0", max: "100", value: "50", "aria-label": word("before_after"), "data-word-label": "before_after" });
  const stage = make("div", { class: "slide" },
    make("img", { src: now.picture, alt: `${word("after")}: ${altOf(now)}` }),
    make("img", { class: "former", src: before.picture, alt: `${word("before")}: ${word("seed")} ${before.seed}` }),
    worded(make("span", { class: "name" }), "before"), worded(make("span", { class: "name end" }), "after"), make("span", { class: "line" }), slider);
  stage.style.setProperty("--shape", Math.max(0.2, Math.min(5, now.width / now.height)));
  const slide = () => {
    stage.style.setProperty("--split", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${word("before")} ${slider.value} %`);
  };
  slider.addEventListener("input", slide);
  slide();
  return stage;
}

function beforeWords(scene, article) {
  const why = article.querySelector(".changed bdi")?.textContent ?? "";
  return why ? [make("p", { class: "about" }, make("bdi", { text: why }))] : [];
}
