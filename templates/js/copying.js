// Copying: a page opened from disk may not have the clipboard, so selecting and the old command come second.

const COPIED = ".prompt, .get-back, .key";

function startCopying() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    if (button) copyFrom(button);
  });
  document.querySelectorAll(".get-back").forEach(addCopyButton);
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

function copySelected(text) {
  const field = make("textarea", { class: "aside", "aria-hidden": "true" });
  field.value = text;
  document.body.append(field);
  const before = document.activeElement;
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  before?.focus({ preventScroll: true });
  return copied;
}

async function copyFrom(button) {
  const text = button.closest(COPIED).querySelector("p, code").textContent;
  const said = (await copyText(text)) ? "copied" : "copy_failed";
  worded(button, said);
  say(word(said));
  clearTimeout(button.timer);
  button.timer = setTimeout(() => worded(button, "copy_text"), 1600);
}

function addCopyButton(block) {
  if (block.querySelector("button.copy")) return;
  const button = worded(make("button", { type: "button", class: "copy" }), "copy_text");
  const heading = block.querySelector("h3");
  (heading ?? block.lastElementChild).after(button);
}
