// The shelves: decisions in the browser's storage, one entry under the key of each take.

const shelf = `storyboard:${story.story}:${story.served ? "served" : location.pathname}:`;
let storageWorks = true;

function shelve(key) {
  try {
    if (story.decisions[key]) localStorage.setItem(shelf + key, JSON.stringify(story.decisions[key]));
    else localStorage.removeItem(shelf + key);
  } catch {
    storageWorks = false;
  }
}

function storedEntries() {
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(shelf));
    return soundEntries(Object.fromEntries(names.map((name) => [name.slice(shelf.length), parsed(localStorage.getItem(name))])));
  } catch {
    storageWorks = false;
    return [];
  }
}
