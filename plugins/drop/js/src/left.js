// How a run was left, for when the panel comes back: its tab was hidden, or the page loaded anew.
// Not in the panel's state, which the App saves and then reads the whole dataset anew.

const NAME = "fiftyone-drop";
let left = null; // for where the browser keeps nothing

export function leave(choice) {
  left = choice;
  try {
    sessionStorage.setItem(NAME, JSON.stringify(choice));
  } catch {
    // a page without a storage, or a full one
  }
}

/** What was chosen of this version of a run; nothing of any other. */
export function leftOf(version) {
  try {
    left ??= JSON.parse(sessionStorage.getItem(NAME));
  } catch {
    // see above
  }
  return left?.version === version ? left : {};
}
