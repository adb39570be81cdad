// Keys: / searches, j and k move in a list, Enter opens, g and a letter goes to a
// page, ? helps. None acts while one types, or together with Ctrl, Alt or Meta.
const typing = (e) => e.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(e.tagName);

let pending = 0; // until when a letter follows g

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (event.key === "Escape") {
      if (typing(target)) target.blur();
      return;
    }
    if (typing(target) || document.querySelector("[popover]:popover-open")) return;
    const act = event.timeStamp < pending ? goTo(event.key) : acts[event.key];
    pending = event.key === "g" && !act ? event.timeStamp + 1500 : 0;
    if (act) {
      event.preventDefault();
      act();
    }
  });
}

const goTo = (key) => {
  const link = [...document.querySelectorAll("nav.side a[data-key]")].find((a) => a.dataset.key === key);
  return link && (() => link.click());
};

const acts = {
  "/": () => {
    const field = document.querySelector("[data-search]");
    if (!field) {
      location.assign("/runs?focus=search");
      return;
    }
    field.focus();
    field.select();
  },
  "?": () => document.getElementById("help")?.showPopover(),
  j: () => move(1),
  k: () => move(-1),
};

// Rows of lists hold one link marked data-row; the focus is what is marked.
function move(by) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (rows.length === 0) return;
  const at = rows.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by));
  rows[next].focus();
  rows[next].closest("tr, li")?.scrollIntoView({ block: "nearest" });
}
