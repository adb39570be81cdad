// Small things: copy buttons, the theme, the search that one came for, the
// page's place in the navigation, and what a refresh must leave as the reader set it.
export function startSmall() {
  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element && event.target.closest("button");
    if (!button) return;
    if (button.hasAttribute("data-theme-toggle")) toggleTheme();
    if (button.dataset.copy !== undefined) {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.classList.add("copied");
      setTimeout(() => button.classList.remove("copied"), 1200);
    }
  });
  window.htmx?.registerExtension("console", {
    // What was folded open stays open.
    htmx_before_morph_attr: (element, { attrName }) => !(element instanceof HTMLDetailsElement && attrName === "open"),
  });
  // The address of a filter says only what it restricts.
  document.addEventListener("formdata", ({ target, formData }) => {
    if (!target.classList.contains("filters")) return;
    for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
  });
  document.querySelector("nav.side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  if (new URLSearchParams(location.search).get("focus") === "search") document.querySelector("[data-search]")?.focus();
}

function toggleTheme() {
  const root = document.documentElement.classList;
  const dark = root.contains("dark") || !root.contains("light") && matchMedia("(prefers-color-scheme: dark)").matches;
  root.remove("light", "dark");
  root.add(dark ? "light" : "dark");
  try { localStorage.setItem("theme", dark ? "light" : "dark"); } catch { /* for this page only */ }
  document.dispatchEvent(new Event("theme"));
}
