// The last choices about a run, for when the panel comes back after its tab was hidden or the page
// was loaded again. They are not in the panel's state: after saving that, the App reads the whole
// dataset again.

const NAME = "fiftyone-drop";
let left = null; // for browsers without a storage

export function leave(choice) {
  left = choice;
  try {
    sessionStorage.setItem(NAME, JSON.stringify(choice));
  } catch {
    // a page without a storage, or a full one
  }
}

/** The last choices about this version of a run; none about any other version. */
export function leftOf(version) {
  try {
    left ??= JSON.parse(sessionStorage.getItem(NAME));
  } catch {
    // see above
  }
  return left?.version === version ? left : {};
}
