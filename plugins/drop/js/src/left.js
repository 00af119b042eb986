// What outlives the panel: its tab may be hidden, the page may be loaded again. It is not in the
// panel's state: after saving that, the App reads the whole dataset again.

const NAME = "fiftyone-drop";
const left = {}; // for browsers without a storage

export function keep(slot, value) {
  left[slot] = value;
  try {
    sessionStorage.setItem(`${NAME} ${slot}`, JSON.stringify(value));
  } catch {
    // a page without a storage, or a full one
  }
}

export function kept(slot) {
  try {
    left[slot] ??= JSON.parse(sessionStorage.getItem(`${NAME} ${slot}`));
  } catch {
    // see above
  }
  return left[slot] ?? null;
}

/** The last choices about this version of a run; none about any other version. Drafts keep their own. */
export function leftOf(version) {
  const choice = kept("choice");
  return choice?.version === version ? choice : {};
}

export const leave = (choice) => keep("choice", choice);
