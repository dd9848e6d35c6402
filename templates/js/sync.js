// With `storyboard review`: decisions go to the disk at once, those of other tabs come in, and the page follows the sheet.

const BATCH = 500; // entries sent at a time
const RETRY = { first: 1000, most: 30_000 };
let sending = false;
let pause = RETRY.first;
let retry = 0;
let lastEvent = "";

function startSync() {
  findReview(held("review"));
  addEventListener("pagehide", () => { if (!following) keepReview(null); });
  if (!story.served) return;
  subscribe((keys, here) => { if (here) setTimeout(send); });
  addEventListener("online", () => send());
  listenToServer();
  send();
}

// Sends what the disk does not have yet; while the server is away it waits here, and in the browser's storage.
async function send() {
  if (sending) return;
  const keys = waiting().slice(0, BATCH);
  if (!keys.length) return;
  sending = true;
  clearTimeout(retry);
  const answer = await post(Object.fromEntries(keys.map((key) => [key, plainEntry(story.decisions[key])])));
  sending = false;
  if (answer) setTimeout(send);
  else retryLater();
}

function retryLater() {
  retry = setTimeout(send, pause);
  pause = Math.min(RETRY.most, pause * 2);
}

// The entries as the disk has them now; null where it could not be reached.
async function post(decisions) {
  try {
    const response = await fetch(story.served.review, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ decisions }), signal: AbortSignal.timeout(15_000),
    });
    const content = await response.json();
    if (!response.ok) throw new Refusal(content.error);
    hearDisk(content.decisions);
    reached();
    return content.decisions;
  } catch (error) {
    lost(error instanceof Refusal ? error.message : "");
    return null;
  }
}

class Refusal extends Error {}

function hearDisk(decisions) {
  mergeEntries(soundEntries(decisions), true);
  showKept();
}

function reached() {
  pause = RETRY.first;
  if (away) announce(word("connected"));
  away = false;
  refusal = "";
  showKept();
}

function lost(words) {
  if (!away || refusal !== words) announce(words || word("away_idle"));
  away = true;
  refusal = words;
  showKept();
}

// Events. The browser comes back by itself after a break, but not after a refusal.

function listenToServer() {
  const url = new URL(story.served.events, location.href);
  if (lastEvent) url.searchParams.set("since", lastEvent);
  const events = new EventSource(url);
  const hear = (event) => { lastEvent = event.lastEventId || lastEvent; };
  events.addEventListener("open", () => { if (!refusal) reached(); send(); });
  events.addEventListener("review", (event) => { hear(event); hearDisk(parsed(event.data)?.decisions ?? {}); });
  events.addEventListener("sheet", (event) => { hear(event); followSheet(); });
  events.addEventListener("error", () => {
    lost(refusal);
    if (events.readyState === EventSource.CLOSED) setTimeout(listenToServer, pause);
  });
}

// The sheet has changed: the page is fetched anew, and everything stays where it was. Whoever types, or has one of the
// small dialogs open, is not disturbed.
let following = false;
function followSheet() {
  if (following) return;
  following = true;
  fetchAnew();
}

function fetchAnew() {
  if (isBusy()) return void setTimeout(fetchAnew, 500);
  keepPlace();
  keepReview(loupe);
  history.scrollRestoration = "manual";
  location.reload();
}

function isBusy() {
  const typing = document.activeElement?.matches("textarea, input[type=search], [contenteditable]");
  const dialogs = document.querySelector("dialog[open]:not(.loupe)");
  return sending || typing || Boolean(dialogs) || !getSelection().isCollapsed || Boolean(document.querySelector(".stage:active"));
}

// The cursor and the marks through every reload, and the loupe through one that the page itself asks for.

function keepReview(open) {
  const spot = (key) => ({ key, ...calledOf(story.takes[key]) });
  const { zoom, x, y } = open?.lens ?? {};
  hold("review", {
    cursor: cursor && spot(cursor.dataset.take), marked: [...marked],
    loupe: open && { ...spot(loupeTake()), lens: { zoom, x, y } },
  });
}

function findReview(place) {
  hold("review", null);
  if (!place) return;
  for (const key of place.marked ?? []) if (key in story.takes) marked.add(key);
  showMarked([...marked]);
  const key = place.cursor && sameTake(place.cursor);
  if (key) moveTo(figuresByKey.get(key)[0], { focus: false });
  if (place.loupe) setTimeout(() => findLoupe(place.loupe));
}

function findLoupe(place) {
  const key = sameTake(place);
  if (!key) return;
  openLoupe(key);
  if (!loupe) return;
  Object.assign(loupe.lens, place.lens);
  drawLens(loupe.lens);
}

// The same take; else what was painted in its place; else its scene.
function sameTake({ key, ...spot }) {
  if (key in story.takes) return key;
  const takes = sceneById.get(spot.scene)?.takes ?? [];
  const named = JSON.stringify(calledOf(spot));
  const find = (fits) => takes.find((each) => fits(story.takes[each]));
  return find((take) => JSON.stringify(calledOf(take)) === named) ?? find((take) => take.seed === spot.seed) ?? takes[0] ?? null;
}
